"""Grades for replies that no rule can score: MM-Vet's judge, by anybody's endpoint.

    from calprune.judge import judge
    judge(tables, endpoint="http://localhost:8000/v1", model="my-judge")

``prompt`` holds what a judge is asked, ``client`` asks it, ``judgements`` keeps every answer,
``grades`` are the files that analysis reads, ``imports`` and ``exports`` deal with other people's.
"""

from calprune.judge.run import judge

__all__ = ["judge"]
