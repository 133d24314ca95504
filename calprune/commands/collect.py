"""``calprune collect``: fill the cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calprune.commands.benchmarks import benchmarks, check_several, folder_of
from calprune.commands.modes import given, reading
from calprune.commands.options import (
    DeviceOption,
    ImagesOption,
    MaxLeftOutOption,
    StoreOption,
    share_of,
)
from calprune.commands.outcomes import conclude, done, stopped
from calprune.commands.progress import bars, lines
from calprune.errors import CalpruneError, PlanError
from calprune.extras import needed
from calprune.interrupts import interrupt, listen, loading
from calprune.terminal import counted, remark

if TYPE_CHECKING:
    from calprune.collect.stages.plan import Plan
    from calprune.collect.studies import Job

EPILOG = (
    "Examples:  calprune collect --bench shapes  ·  calprune collect --bench shapes "
    "--select full --select scope:alpha=0,0.5,1 --keep 64,128  ·  calprune collect --bench pope "
    "--data DIR --model llava-1.5-7b  ·  calprune collect --bench pope,mme --model llava-1.5-7b "
    "--dry-run --gpu a100"
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=reading("collect"), epilog=EPILOG)(collect)


def collect(
    ctx: typer.Context,
    bench: Annotated[
        str,
        typer.Option(
            help="Benchmark, or several separated by commas; see 'calprune ls benchmarks'.  "
            "[default: shapes, or each of the study]"
        ),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            help="Short name (llava-1.5-7b; see 'calprune ls models'), repository on the hub, or a "
            "local folder in Hugging Face format.  [default: shapes-llava, or the study's]"
        ),
    ] = "",
    study: Annotated[
        str, typer.Option(help="Collect the conditions of a study; see 'calprune ls studies'.")
    ] = "",
    revision: Annotated[
        str, typer.Option(help="Branch, tag or commit of a repository; its commit is recorded.")
    ] = "",
    select: Annotated[
        list[str] | None,
        typer.Option(
            help="Selector with parameters, e.g. scope:alpha=0,0.5:gap_power=2, or a condition by "
            "name, e.g. 'scope:alpha=0 @128'; may be repeated.  "
            "[default: the grid of the study calibration]"
        ),
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Visual tokens kept, e.g. 64,128 or 25%.")
    ] = None,
    numerics: Annotated[
        str,
        typer.Option(
            help="In which selectors choose: canonical, compat (as reference code in float16), or "
            "both where a selector has both."
        ),
    ] = "canonical",
    positions: Annotated[
        str, typer.Option(help="Position ids of kept tokens: contiguous or original.")
    ] = "contiguous",
    picture: Annotated[
        str,
        typer.Option(
            help="How an image becomes visual tokens. LLaVA-1.5: pad (as the original), crop (as "
            "transformers). LLaVA-NeXT: split (SCOPE), fixed, per-crop, packed, hf.  "
            "[default: the first]"
        ),
    ] = "",
    template: Annotated[
        str,
        typer.Option(
            help="Prompt: vicuna_v1, mistral_instruct, or hf (the model's chat template).  "
            "[default: the model's original]"
        ),
    ] = "",
    clip: Annotated[
        str,
        typer.Option(
            help="CLIP model of the tower, for selectors that compare image and question: "
            "REPOSITORY[@REVISION] such as openai/clip-vit-large-patch14-336, or a folder."
        ),
    ] = "",
    reply_tokens: Annotated[
        int,
        typer.Option(
            min=0,
            help="Generate replies of so many tokens at most to all questions, also those with "
            "answers to choose from, for the score to judge.  [default: only to open questions, as "
            "long as the benchmark's own]",
            show_default=False,
        ),
    ] = 0,
    store: StoreOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the benchmark's files; with several benchmarks, its sub-folders of "
            "these names.  [default: what was fetched]"
        ),
    ] = None,
    images: ImagesOption = None,
    device: DeviceOption = "",
    dtype: Annotated[
        str,
        typer.Option(
            help="float32, float16 or bfloat16; the head is float32.  [default: float16 on a GPU]"
        ),
    ] = "",
    batch_tokens: Annotated[
        int, typer.Option(min=0, help="Most tokens in one forward; 0 takes what memory allows.")
    ] = 0,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Most memory on the device, e.g. 8GB: a limit on a GPU, a plan on a CPU."
        ),
    ] = None,
    shard: Annotated[
        str, typer.Option(help="i/n: the i-th of n processes that fill one store together.")
    ] = "1/1",
    audit: Annotated[
        int, typer.Option(min=0, help="Ask so many rows of each condition again by generate.")
    ] = 0,
    min_mass: Annotated[
        float, typer.Option(help="Stop if the answers hold less of the probability.")
    ] = 0.5,
    max_left_out: MaxLeftOutOption = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Stop at bad images and unpublished row counts, not go on without."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print forwards, FLOPs, bytes and time, and stop.")
    ] = False,
    gpu: Annotated[
        str,
        typer.Option(
            help="Estimate the time on a GPU by name, e.g. a100, of whose peak 40 % is assumed.  "
            "[default: the device that will be used, measured for a moment]"
        ),
    ] = "",
    format: Annotated[str, typer.Option(help="Of the estimate: table or json.")] = "table",
) -> None:
    """Fill the cache: encode images, select tokens, ask the model. Continues where it stopped."""
    stop = _stop_on_signals() if not dry_run else bool
    with needed("collect"):
        from calprune.collect.request import CollectRequest
        from calprune.collect.studies import Job, each, jobs

    mine, most = _shard(shard), share_of("--max-left-out", max_left_out)
    names = benchmarks(bench) if bench else []
    if len(names) > 1:
        check_several(names, data)

    def request_of(job: Job) -> CollectRequest:
        return CollectRequest(
            bench=job.bench,
            store=store,
            model=job.model,
            revision=revision,
            select=select or (),
            keep=keep if keep is not None else (),
            study=study,
            numerics=numerics,
            positions=positions,  # type: ignore[arg-type]  # which is checked there
            picture=picture,
            template=template,
            clip=clip,
            reply_tokens=reply_tokens,
            data=folder_of(data, job.bench, names),
            images=images,
            device=device,
            dtype=dtype,
            tokens_per_forward=batch_tokens,
            max_memory=max_memory,
            shard=mine,
            audit_rows=audit,
            min_mass=min_mass,
            strict=strict,
            max_left_out=most,
        )

    todo = [Job(name, model or "shapes-llava") for name in names or ["shapes"]]
    if study:
        todo = [job for name in names or [""] for job in jobs(study, name, model)]

    def estimated(job: Job) -> dict[str, Any]:
        from calprune.collect.cost.precheck import refuse_estimate

        refuse_estimate(request_of(job), gpu, format)
        cost: dict[str, Any] = _run().estimate_for(request_of(job), gpu)
        return cost

    if dry_run:
        _estimates(todo, format, estimated)
        return

    def one(job: Job) -> None:
        plans: list[Plan] = []
        try:
            collected(job, plans)
        except KeyboardInterrupt:
            if not (stop() and plans):
                raise
            missing = sum(not plans[0].store.has(c.condition) for c in plans[0].conditions)
            raise stopped(plans[0], missing) from None

    def collected(job: Job, plans: list[Plan]) -> None:
        from calprune.collect import asked, planned_before, precheck
        from calprune.data.condition_names import name_of

        request = request_of(job)
        precheck.refuse_early(request)
        opened = None
        if not asked.generated(request):
            remark(f"reading {job.bench}")
            opened = asked.open_asked(request)
        before = planned_before.all_sealed(request, opened)
        if before is not None:
            _remark(before.notes, before.left_out)
            print(done(before, 0))
            return
        remark(f"opening {job.model}" + f" and drawing {job.bench}" * (opened is None))
        run = _run()
        plan = run.plan_for(request, opened)
        if "min_mass" in given(ctx) and not any(e.offered for e in plan.questions.examples):
            raise PlanError(
                f"--min-mass: {plan.questions.name} has no answers to choose from: leave it out"
            )
        _remark(plan.notes, plan.left_out)
        if stop():
            print("calprune: stopped before anything was done", file=sys.stderr)
            raise typer.Exit(130)
        planned_before.remember(request, opened, plan)
        plans.append(plan)
        with bars(lines([name_of(c.condition) for c in plan.open])) as progress:
            outcome = run.execute(plan, progress=progress, stop=stop)
        conclude(outcome)

    each(todo, one, _skipped)


def _estimates(todo: list[Job], form: str, cost_of: Callable[[Job], dict[str, Any]]) -> None:
    """The cost of every job; as JSON one document, a list where a study has several."""
    import json

    from calprune.collect.studies import each

    found: list[dict[str, Any]] = []

    def one(job: Job) -> None:
        cost = cost_of(job)
        from calprune.collect.cost.estimate import render_estimate

        text = render_estimate(cost, form)
        found.append(cost)
        if form != "json" or len(todo) == 1:
            print(text if len(found) == 1 else f"\n{text}")

    try:
        each(todo, one, _skipped)
    finally:
        if form == "json" and len(todo) > 1:
            print(json.dumps(found, indent=2))


def _skipped(job: object, error: CalpruneError) -> None:
    remark(f"{job}: {error}; going on with the rest")


def _remark(notes: Sequence[str], left_out: Sequence[str]) -> None:
    """Say on stderr what a reader of the results should know before they exist."""
    for note in notes:
        remark(f"note: {note}")
    for problem in left_out[:10]:
        remark(f"left out: {problem}")
    if len(left_out) > 10:
        remark(f"left out: {counted(len(left_out) - 10, 'more image')}")


def _shard(text: str) -> tuple[int, int]:
    i, slash, n = text.partition("/")
    digits = (i + n).isascii() and i.isdecimal() and n.isdecimal()
    if not (slash and digits and 1 <= int(i) <= int(n)):
        raise PlanError(f"--shard {text!r}: write i/n with 1 <= i <= n, e.g. 2/4")
    return int(i) - 1, int(n)


PATIENCE = 1.0  # seconds that the part in flight has to be finished


def _stop_on_signals() -> Callable[[], bool]:
    """Ctrl-C and SIGTERM raise a flag that is looked at between sealed parts; twice means now.

    So does once while modules load: nothing is in flight then. What is in flight when patience ends
    is given up, by KeyboardInterrupt.
    """
    import os
    import signal

    caught: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if caught or loading(frame):
            interrupt(number, frame)
        caught.append(number)
        # print may be interrupted by ourselves and must not be entered twice
        os.write(2, b"\ncalprune: stopping; what is sealed stays\n")
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def stopped() -> bool:
        if caught:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return bool(caught)

    listen(handle)
    return stopped


def _run() -> Any:
    """What needs torch, which takes seconds to import."""
    with needed("collect"):
        from calprune.collect import run
    return run
