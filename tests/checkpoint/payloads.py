"""Pickles that mean harm: some would run, if Python read them; others break rules of weights."""

from __future__ import annotations

import os
import pickle

from bin_archives import (
    MARK,
    PROTO,
    STOP,
    call,
    named,
    number,
    state,
    storage,
    tensor,
    text,
    tuple_of,
)

SYSTEM = b"cposix\nsystem\n"
TOUCH = text("touch CANARY")
HIDDEN = b"\x80\x02cposix\nsystem\n" + TOUCH + b"\x85R."


class EvilNew:
    def __new__(cls, command):
        os.system(command)


class Evil:
    def __setstate__(self, state):
        os.system(state)

    def __reduce__(self):
        return os.system, ("touch CANARY",)


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def pickled(value, protocol):
    return pickle.dumps(value, protocol)


# Pickles that Python itself would run: each makes the file CANARY.
RUNNING = {
    "global": PROTO + SYSTEM + TOUCH + b"\x85R.",
    "global of os": PROTO + b"cos\nsystem\n" + TOUCH + b"\x85R.",
    "global behind a tensor": state(("x", tensor()), ("y", SYSTEM + TOUCH + b"\x85R")),
    "stack global": b"\x80\x04"
    + short("posix")
    + short("system")
    + b"\x93"
    + short("touch CANARY")
    + b"\x85R.",
    "stack global, memoised names": b"\x80\x04"
    + short("posix")
    + b"\x94"
    + short("system")
    + b"\x94"
    + b"00h\0h\1\x93"
    + short("touch CANARY")
    + b"\x85R.",
    "protocol 0": b"cposix\nsystem\n(S'touch CANARY'\ntR.",
    "no protocol": SYSTEM + TOUCH + b"\x85R.",
    "inst": b"(S'touch CANARY'\niposix\nsystem\n.",
    "obj": MARK + SYSTEM + TOUCH + b"o.",
    "newobj": PROTO + named(f"{__name__}.EvilNew") + TOUCH + b"\x85\x81.",
    "newobj ex": b"\x80\x04" + named(f"{__name__}.EvilNew") + TOUCH + b"\x85}\x92.",
    "a process": PROTO
    + call("subprocess.Popen", b"]" + MARK + text("touch") + text("CANARY") + b"e")
    + STOP,
    "reduce, protocol 2": pickled(Evil(), 2),
    "reduce, protocol 4": pickled(Evil(), 4),
    "reduce, protocol 5": pickled(Evil(), 5),
    "reduce, protocol 0": pickled(Evil(), 0),
    "build": PROTO + named(f"{__name__}.Evil") + b")\x81" + TOUCH + b"b.",
    "eval": PROTO + call("builtins.eval", text("__import__('os').system('touch CANARY')")) + STOP,
    "eval of Python 2": PROTO
    + call("__builtin__.eval", text("__import__('os').system('touch CANARY')"))
    + STOP,
    "exec": PROTO + call("builtins.exec", text("import os; os.system('touch CANARY')")) + STOP,
    "getattr": PROTO
    + call("builtins.getattr", call("builtins.__import__", text("os")), text("system"))
    + TOUCH
    + b"\x85R.",
    "dotted name": b"\x80\x04"
    + short("torch")
    + short("os.system")
    + b"\x93"
    + short("touch CANARY")
    + b"\x85R.",
    "a pickle in a pickle": PROTO
    + call("_pickle.loads", b"C" + bytes([len(HIDDEN)]) + HIDDEN)
    + STOP,
    "a partial": PROTO + call("functools.partial", SYSTEM, TOUCH) + b")R.",
    "a method caller": PROTO
    + call("operator.methodcaller", text("system"), TOUCH)
    + call("builtins.__import__", text("os"))
    + b"\x85R.",
    "a map": PROTO
    + call("builtins.list", call("builtins.map", SYSTEM, b"]" + TOUCH + b"a"))
    + STOP,
    "a stop watch": PROTO
    + call(
        "timeit.timeit",
        text("__import__('os').system('touch CANARY')"),
        text("pass"),
        named("time.perf_counter"),
        number(1),
    )
    + STOP,
    "extension code": b"\x80\x02\x82\xf0" + TOUCH + b"\x85R.",
    "wide extension code": b"\x80\x02\x84\xf0\0\0\0" + TOUCH + b"\x85R.",
    "thrown away": PROTO + SYSTEM + TOUCH + b"\x85R0}.",
    "under a mark that is popped": PROTO + MARK + SYSTEM + TOUCH + b"\x85R1}.",
    "in the hooks of a tensor": state(
        ("x", tensor().replace(call("collections.OrderedDict"), SYSTEM + TOUCH + b"\x85R"))
    ),
    "in the name of a storage": state(
        ("x", tensor(held=storage().replace(text("cpu"), SYSTEM + TOUCH + b"\x85R")))
    ),
}


DEEP = 500_000
NESTED = PROTO + b")" + b"\x85" * DEEP
OTHERS = {
    "unknown opcode": (PROTO + b"\xff.", "opcode"),
    "no stop": (PROTO + b"}", "cut off"),
    "empty stack": (PROTO + b".", "disorder"),
    "two results": (PROTO + b"}}.", "disorder"),
    "a mark as the result": (PROTO + b"(.", "disorder"),
    "pop of nothing": (PROTO + b"\x85.", "damaged"),
    "tuple without a mark": (PROTO + b"}t.", "damaged"),
    "something behind the end": (state(("x", tensor())) + b"}.", "behind its end"),
    "a second pickle": (state(("x", tensor())) + HIDDEN, "behind its end"),
    "memo never set": (PROTO + b"h\5.", "damaged"),
    "memo of a mark": (PROTO + b"(q\0h\0.", "damaged"),
    "memo at a far place": (PROTO + b"}r\xff\xff\xff\xffj\xff\xff\xff\xff.", "disorder"),
    "text longer than the file": (PROTO + b"X\xff\xff\xff\xffabc.", "cut off"),
    "text of negative length": (PROTO + b"T\xff\xff\xff\xffabc.", "cut off"),
    "text that is none": (PROTO + b"X\1\0\0\0\xff.", "damaged"),
    "a long of 2 GB": (PROTO + b"\x8b\xff\xff\xff\x7f" + bytes(100) + STOP, "LONG4"),
    "a long of 255 bytes": (PROTO + b"\x8a\xff" + b"\1" * 255 + STOP, "larger"),
    "a text of 8 bytes length": (b"\x80\x04\x8d" + b"\xff" * 8 + STOP, "BINUNICODE8"),
    "a global without an end": (PROTO + b"c" + b"a" * 10_000_000, "damaged"),
    "a global of numbers": (b"\x80\x04K\1K\2\x93.", "not text"),
    "protocol 9": (b"\x80\x09}.", "protocol 9"),
    "deep tuples": (NESTED + STOP, "dictionary of tensors"),
    "deep tuples as a key": (PROTO + b"}" + NESTED[2:] + b"Ns.", "key of type tuple"),
    "deep tuples as a pair's key": (
        PROTO + call("collections.OrderedDict", b"]" + NESTED[2:] + b"N\x86a") + STOP,
        "key of type tuple",
    ),
    "deep lists": (PROTO + b"]" * DEEP + b"a" * (DEEP - 1) + STOP, "dictionary of tensors"),
    "a list in itself": (PROTO + b"]q\0h\0a.", "dictionary of tensors"),
    "endless constants": (PROTO + b"]" + MARK + b"N" * 5_000_000 + b"e.", "more work"),
    "the same pairs again and again": (
        PROTO
        + b"]"
        + MARK
        + (text("a") + b"N\x86") * 20_000
        + b"eq\0"
        + (named("collections.OrderedDict") + b"h\0\x85R") * 20_000
        + STOP,
        "more work",
    ),
    "the same text encoded again and again": (
        PROTO
        + text("a" * 1_000_000)
        + b"q\0"
        + text("latin1")
        + b"q\1"
        + (named("_codecs.encode") + b"h\0h\1\x86R") * 10_000
        + STOP,
        "more work",
    ),
    "another codec": (PROTO + call("_codecs.encode", text("a"), text("rot13")) + STOP, "encodes"),
    "another codec function": (
        PROTO + call("_codecs.decode", text("a"), text("zlib")) + STOP,
        "_codecs.decode",
    ),
    "a call of text": (PROTO + text("a") + b")R.", "cannot be called"),
    "a call of a storage class": (
        PROTO + call("torch.FloatStorage", number(10**9)) + STOP,
        "cannot be called",
    ),
    "a call of a dtype": (PROTO + call("torch.float32") + STOP, "cannot be called"),
    "a call of a class of tensors": (
        PROTO + call("torch.Tensor", number(10**9)) + STOP,
        "cannot be called",
    ),
    "a call with a list": (PROTO + named("torch.Size") + b"]R.", "cannot be called"),
    "the state of a tensor": (state(("x", tensor() + b"}b")), "state"),
    "the state of a builder": (PROTO + named("torch.Size") + b"}b.", "state"),
    "items of a builder": (PROTO + named("torch.Size") + MARK + text("a") + b"Nu.", "dictionary"),
    "an item without a value": (PROTO + b"}" + MARK + text("a") + b"u.", "dictionary"),
    "appending to a dictionary": (PROTO + b"}Na.", "list"),
    "rebuilding as a class of one's own": (
        state(
            (
                "x",
                call(
                    "torch._tensor._rebuild_from_type_v2",
                    named("torch._utils._rebuild_tensor_v2"),
                    named("collections.OrderedDict"),
                    tuple_of(),
                    b"}",
                ),
            )
        ),
        "not known",
    ),
    "rebuilding by a builder that is none": (
        state(
            (
                "x",
                call(
                    "torch._tensor._rebuild_from_type_v2",
                    named("_codecs.encode"),
                    named("torch.Tensor"),
                    tuple_of(text("a"), text("latin1")),
                    b"}",
                ),
            )
        ),
        "not known",
    ),
    "rebuilding by itself": (
        state(
            (
                "x",
                call(
                    "torch._tensor._rebuild_from_type_v2",
                    named("torch._tensor._rebuild_from_type_v2"),
                    named("torch.Tensor"),
                    tuple_of(),
                    b"}",
                ),
            )
        ),
        "not known",
    ),
    "a parameter of text": (
        state(("x", call("torch._utils._rebuild_parameter", text("a"), b"\x88", b"}"))),
        "parameter",
    ),
    "a sparse tensor": (
        state(("x", call("torch._utils._rebuild_sparse_tensor"))),
        "_rebuild_sparse_tensor",
    ),
    "an array of numpy": (
        PROTO + call("numpy.core.multiarray._reconstruct") + STOP,
        "_reconstruct",
    ),
    "a persistent id of text": (PROTO + b"Pposix.system\n.", "PERSID"),
    "a persistent id of another kind": (
        PROTO + tuple_of(text("module"), named("torch.Tensor"), text("a"), text("b")) + b"Q.",
        "not a storage",
    ),
    "a persistent id that is a list": (PROTO + b"]Q.", "not a storage"),
    "a storage of an unknown device": (
        state(("x", tensor(held=storage().replace(text("cpu"), text("cqu"))))),
        "storage",
    ),
    "a storage of another class": (state(("x", tensor(held=storage("torch.Tensor")))), "storage"),
    "a storage of a path": (
        state(("x", tensor(held=storage(key="../../../etc/passwd")))),
        "does not hold",
    ),
    "a storage of a number": (
        state(("x", tensor(held=storage().replace(text("0"), number(0))))),
        "storage",
    ),
    "a storage of negative size": (state(("x", tensor(held=storage(elements=-6)))), "storage"),
    "a storage too large": (state(("x", tensor(held=storage(elements=7)))), "does not hold"),
    "a storage too small": (state(("x", tensor(held=storage(elements=5)))), "outside"),
    "a storage in two ways": (
        state(("x", tensor()), ("y", tensor(held=storage("torch.IntStorage")))),
        "two ways",
    ),
    "a part of a storage": (
        state(
            ("x", tensor(held=storage()[:-2] + tuple_of(text("1"), number(0), number(1)) + b"tQ"))
        ),
        "0.4",
    ),
    "a view past the end": (state(("x", tensor((7,), (1,)))), "outside"),
    "a view past the end by its offset": (state(("x", tensor(offset=1))), "outside"),
    "a view past the end by its stride": (state(("x", tensor((2, 2), (5, 1)))), "outside"),
    "a view before the beginning": (state(("x", tensor(offset=-1))), "impossible"),
    "a view of negative stride": (state(("x", tensor((2,), (-1,), 3))), "impossible"),
    "a view of negative size": (state(("x", tensor((-2, -3)))), "impossible"),
    "a view whose size overflows": (state(("x", tensor((2**62, 4), (1, 2**62)))), "outside"),
    "a view whose stride overflows": (
        state(("x", tensor((2, 2), (2**63 - 1, 2**63 - 1)))),
        "outside",
    ),
    "an empty view far away": (state(("x", tensor((0,), (1,), 10**9))), "outside"),
    "a view that repeats one element": (state(("x", tensor((10**6, 10**6), (0, 0)))), "repeats"),
    "more strides than sizes": (state(("x", tensor((2, 3), (3, 1, 1)))), "impossible"),
    "65 dimensions": (state(("x", tensor((1,) * 65, (1,) * 65))), "impossible"),
    "a shape of booleans": (state(("x", tensor().replace(number(2), b"\x88"))), "impossible"),
    "a shape that is a list": (
        state(("x", tensor().replace(tuple_of(number(2), number(3)), b"]"))),
        "impossible",
    ),
    "a tensor of four arguments": (
        state(
            (
                "x",
                tensor().replace(b"\x89" + call("collections.OrderedDict"), b""),
            )
        ),
        "arguments",
    ),
    "a tensor of text": (state(("x", tensor(held=text("a")))), "typed storage"),
    "an untyped tensor": (
        state(("x", tensor(held=storage("torch.UntypedStorage")))),
        "typed storage",
    ),
    "a name that is a number": (PROTO + b"}" + number(1) + tensor() + b"s.", "no tensors by name"),
}
