"""Commands that look: `status`, `workflows`, `agents`. `status` reads the events themselves, so it needs no read models."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.cli.common import Call, command, group
from runtime.cli.errors import BadUsage
from runtime.cli.output import NOTHING, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.views import MessageRow, WorkflowDetail
    from runtime.datadir import DataDir
    from store.opening import Store

BEGIN = "begin with `rehydrate run product-launch-campaign --products FEED.csv --out DIR`"

STARTING = "nothing yet: the swarm is starting"


def register(app: typer.Typer) -> None:
    """Declare the commands of this module."""
    command(app, "status", "rehydrate status", "rehydrate status --json")(status)
    workflows = group(app, "workflows", "What became of each product, step by step.")
    command(workflows, "list", "rehydrate workflows list", "rehydrate workflows list --run run-3f9a21c4-1 --status failed")(
        workflows_list
    )
    command(workflows, "show", "rehydrate workflows show workflow-3f9a21c4-1-17 --messages")(workflows_show)
    agents = group(app, "agents", "Who works: epochs, processes and heartbeats.")
    command(agents, "list", "rehydrate agents list", "rehydrate agents list --json")(agents_list)


# --- status ---------------------------------------------------------------------------------------------------------


def status(call: Call) -> None:
    """Show runs, unfinished work and who is at work."""
    asyncio.run(_status(call))


async def _status(call: Call) -> None:
    from runtime.cli.reading import event_store

    data = call.data()
    async with event_store(call) as store:
        document = await _status_document(store, data)
    runs = document["runs"]
    columns = ("run", "workflow", "status", ">products", ">ended", ">failed")
    rows = [(run["run_id"], run["workflow"], run["status"], run["products"], run["ended"], run["failed"]) for run in runs]
    shown: list[object] = [Table(columns, rows)] if runs else [f"no runs yet; {BEGIN}"]
    call.out.result(document, *shown, *_status_lines(document))


async def _status_document(store: Store, data: DataDir) -> dict[str, Any]:
    from agents.states import load
    from domain import run
    from runtime.cli.reading import supervisor_of

    runs = []
    for info in await store.streams("run-"):
        state = (await load(store, info.stream)).state
        workflow = state.request.workflow if state.request else ""
        asked = {"run_id": info.stream, "workflow": workflow, "status": str(state.status)}
        products = state.request.products if state.request else 0
        runs.append(asked | {"products": products, "started": state.started, "ended": state.ended, "failed": state.failed})
    agents = Counter([str((await load(store, info.stream)).state.status) for info in await store.streams("agent-")])
    letters = Counter([str((await load(store, info.stream)).state.status) for info in await store.streams("deadletter-")])
    async with store.audit() as audit:
        open_streams = Counter(stream.partition("-")[0] for stream in {stream for _, stream in await audit.open_streams()})
    supervisor = await supervisor_of(data)
    head = await store.head()
    position = await _read_models_position(data)
    return {
        "data_dir": str(data.root),
        "supervisor": supervisor,
        "running": supervisor is not None,
        "runs": runs,
        "unfinished": [made["run_id"] for made in runs if made["status"] not in run.OVER],
        "open_streams": dict(sorted(open_streams.items())),
        "agents": {"stopped": agents.total()} if supervisor is None and agents else dict(sorted(agents.items())),
        "dead_letters": dict(sorted(letters.items())),
        "read_models": {"position": position, "head": head, "behind": max(0, head - position)},
    }


def _status_lines(document: dict[str, Any]) -> Sequence[str]:
    supervisor, models = document["supervisor"], document["read_models"]
    running = f"running, supervisor is process {supervisor}" if supervisor else "running, its supervisor is elsewhere"
    lines = [f"swarm        {'stopped' if supervisor is None else running}"]
    if document["unfinished"]:
        work = ", ".join(f"{count} {kind}" for kind, count in document["open_streams"].items())
        lines.append(f"unfinished   {', '.join(document['unfinished'])}{f' (open: {work})' if work else ''}")
        if supervisor is None:
            lines.append("             the same `rehydrate run` again goes on with it")
    for name, heading in (("agents", "agents      "), ("dead_letters", "dead letters")):
        if document[name]:
            lines.append(f"{heading} " + ", ".join(f"{count} {word}" for word, count in document[name].items()))
    behind = f"{models['behind']} of {models['head']} events behind" if models["behind"] else "up to date"
    if models["position"] > models["head"]:
        behind = f"at position {models['position']}, but the events end at {models['head']}: they are others, or an older copy"
    return [*lines, f"read models  {behind}"]


async def _read_models_position(data: DataDir) -> int:
    """Up to where the read models are, 0 where there are none. Asked of the driver itself: SQLAlchemy alone would take longer
    to import than `status` may take."""
    import sqlite3
    from urllib.parse import quote

    from store.opening import is_postgres

    if is_postgres(data.database):
        from store.postgres.connection import read_models_position

        return await read_models_position(data.database)
    if not data.read_models.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{quote(str(data.read_models.absolute()))}?mode=ro", uri=True)
        try:
            row = connection.execute("SELECT position FROM position").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return 0
    return int(row[0]) if row else 0


# --- workflows ------------------------------------------------------------------------------------------------------


def workflows_list(
    call: Call,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Only those of this run.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="Only requested, running, completed or failed ones.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 1000,
) -> None:
    """List workflows, one for each product of a run.

    One more closes the run: it does what concerns all products.
    """
    asyncio.run(_workflows_list(call, run, status, limit))


async def _workflows_list(call: Call, run: str | None, status: str | None, limit: int) -> None:
    from domain import workflow
    from projections import queries
    from projections.models.workflows import REQUESTED
    from runtime.cli.reading import read_models

    known = [REQUESTED, *(str(known) for known in workflow.Status if known is not workflow.Status.UNKNOWN)]
    if status is not None and status not in known:
        raise BadUsage(f"--status {status}: must be one of {', '.join(known)}")
    async with read_models(call) as opened:
        if run is not None and await queries.run(opened.engine, run) is None:
            raise BadUsage(f"--run {run}: there is no such run; `rehydrate status` lists them")
        found = await queries.workflows(opened.engine, run, status, limit)
    columns = ("workflow", "product", "status", ">steps", "lead", "ended", "?reason")
    rows = [
        (row.workflow_id, row.key, row.status, f"{row.steps_done}/{row.steps}", row.lead, _second(row.ended_at), row.reason)
        for row in found
    ]
    nothing = (
        "no workflow is like that" if run or status else f"no workflows yet; {BEGIN}" if opened.supervisor is None else STARTING
    )
    call.out.result(found, Table(columns, rows) if found else nothing)
    if len(found) == limit:
        call.out.say(f"only the first {limit} are listed; --limit N lists more")


def workflows_show(
    call: Call,
    workflow_id: Annotated[str, typer.Argument(metavar="ID", help="The workflow, as `workflows list` names it.")],
    messages: Annotated[bool, typer.Option("--messages", help="Also the messages that speak of it.")] = False,
) -> None:
    """Show one workflow: its steps, who did them, and when."""
    asyncio.run(_workflows_show(call, workflow_id, messages))


async def _workflows_show(call: Call, workflow_id: str, messages: bool) -> None:
    import msgspec

    from projections import queries
    from runtime.cli.reading import read_models

    async with read_models(call) as opened:
        found = await queries.workflow(opened.engine, workflow_id)
        told = await queries.messages(opened.engine, workflow_id) if messages else []
    if found is None:
        raise BadUsage(f"{workflow_id}: there is no such workflow; `rehydrate workflows list` lists them")
    document = msgspec.structs.asdict(found)
    if messages:
        document["messages"] = told
    call.out.result(document, *_workflow_lines(found), *(["", _messages(told)] if messages else []))


def _workflow_lines(found: WorkflowDetail) -> Sequence[object]:
    lines: list[object] = [
        f"{found.workflow_id}  {found.status}{f': {found.reason}' if found.reason else ''}",
        f"product {found.key}, graph {found.graph or 'not yet known'}, lead {found.lead}",
        f"requested {found.requested_at or NOTHING}, started {found.started_at or NOTHING}, ended {found.ended_at or NOTHING}",
    ]
    columns = ("step", "agent", "status", ">attempts", "assigned", "done", "?reason")
    rows = [
        (
            *(step.task_type, step.agent, step.status, step.attempts),
            *(_time(step.assigned_at), _time(step.done_at), step.reason or step.work_reason),
        )
        for step in found.steps
    ]
    return [*lines, "", Table(columns, rows)] if rows else lines


def _messages(told: Sequence[MessageRow]) -> Table:
    rows = [(_time(row.at), row.type, row.sender, row.receiver, _step(row.task_id)) for row in told]
    return Table(("time", "message", "from", "to", "about"), rows)


def _step(task_id: str) -> str:
    """The step that a message speaks of; whose, stands above."""
    return task_id.rpartition("-")[2] if task_id.startswith("task-") else "the workflow"


def _time(moment: str | None) -> str | None:
    """The time of a day: all steps of a workflow are of about the same one, which stands above them."""
    return None if moment is None else moment.partition("T")[2].removesuffix("Z")


def _second(moment: str | None) -> str | None:
    return None if moment is None else f"{moment.partition('.')[0].removesuffix('Z')}Z"


# --- agents ---------------------------------------------------------------------------------------------------------


def agents_list(call: Call) -> None:
    """List agents with epoch, process and last heartbeat.

    Epoch and process are in the events; status and last heartbeat come from the supervisor. Without a supervisor all of
    them are stopped. Works from any process while a run is on.
    """
    asyncio.run(_agents_list(call))


async def _agents_list(call: Call) -> None:
    from domain.role import BadAgentName, agent_id
    from projections import queries
    from runtime.cli.reading import read_models

    async with read_models(call) as opened:
        beating = await queries.agents(opened.engine, opened.supervisor is not None)
    found = []
    for row in beating:
        try:
            _ = agent_id(row.agent)
        except BadAgentName:
            continue  # the projector sends heartbeats, too, and is no agent
        found.append(row)
    columns = ("agent", ">epoch", ">process", "status", "?task", "last heartbeat", "host")
    rows = [(row.agent, row.epoch, row.pid, row.status, row.task_id, row.last_heartbeat_at, row.host) for row in found]
    nothing = f"no agents yet; {BEGIN}" if opened.supervisor is None else STARTING
    call.out.result(found, Table(columns, rows) if found else nothing)
