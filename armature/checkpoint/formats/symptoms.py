"""What a file that should hold weights, and does not, really is."""

from __future__ import annotations


def not_weights(start: bytes, size: int) -> tuple[str, str] | None:
    """Name what a file is by its first bytes: (cause, remedy); None when nothing is recognised.

    Args:
        start: The first 512 bytes of the file.
        size: The size of the file.
    """
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if not start.strip(b"\0"):
        return (
            "is empty" if not size else "begins with zeros: the copy was never finished",
            "Copy or download the file again.",
        )
    for signs, cause, remedy in _KINDS:
        if text.startswith(signs):
            return cause, remedy
    return None


_KINDS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    (
        (b"version https://git-lfs",),
        "is a git-LFS pointer: the repository was cloned without its large files",
        "Run `git lfs pull` in the folder, or download the file.",
    ),
    (
        (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error"),
        "is a web page, saved under the name of the weights",
        "Download the file itself (its `resolve` address), and log in if the model is gated.",
    ),
    (
        (
            b'{"error',
            b"entry not found",
            b"invalid credentials",
            b"access to model",
            b"repository not",
        ),
        "is an error message of a server, saved under the name of the weights",
        "Download the file again, and log in if the model is gated.",
    ),
    (
        (b"pk\x03\x04",),
        "is a zip archive and not a safetensors file",
        "If it was saved by torch.save, name it pytorch_model.bin.",
    ),
    (
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "is a pickle and not a safetensors file",
        "If it was saved by torch.save, name it pytorch_model.bin.",
    ),
    (
        (b"\x89hdf\r\n",),
        "is an HDF5 file: TensorFlow weights",
        "Name it tf_model.h5.",
    ),
    (
        (b"\x1f\x8b",),
        "is compressed with gzip",
        "Unpack it with `gunzip`.",
    ),
    (
        (b"gguf",),
        "is a GGUF file, a format of another program",
        "Take the model's safetensors file.",
    ),
)
