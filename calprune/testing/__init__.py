"""Laws that plug-ins must obey, as checks for their authors' tests.

A check raises AssertionError with the numbers that break the law.
"""
