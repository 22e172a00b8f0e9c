"""Opinions in English and Chinese, good or bad."""
