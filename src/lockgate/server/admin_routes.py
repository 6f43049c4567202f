"""The rows of the admin API: auditors read, operators change, admins make keys."""

from dataclasses import replace
from typing import Any

import msgspec

from lockgate.domain.identity import Role
from lockgate.server import admin_documents as documents
from lockgate.server.admin import Admin
from lockgate.server.admin_keys import KeyAdmin
from lockgate.server.admin_operation import OperationAdmin
from lockgate.server.admin_releases import ReleaseAdmin
from lockgate.server.admin_spending import SpendingAdmin
from lockgate.server.route import Answers, Route

_CREATED = 201
_JSON = "application/json"


def admin_routes(admin: Admin, *, near: bool = True) -> list[Route]:
    """Return the rows, for this machine alone if `near`. None of the roles implies another."""
    rows = [
        *_keys(admin.keys),
        *_spending(admin.spending),
        *_kills(admin.operation),
        *_releases(admin.releases),
        *_readings(admin.operation),
    ]
    return [replace(row, near=near) for row in rows]


def _keys(keys: KeyAdmin) -> list[Route]:
    return [
        Route(
            name="admin-keys",
            method="GET",
            path="/admin/keys",
            handler=keys.listed,
            summary="List the keys",
            role=Role.AUDITOR,
            query=_query(documents.KeyQuery),
            answers=(_answer(documents.Keys),),
        ),
        Route(
            name="admin-make-key",
            method="POST",
            path="/admin/keys",
            handler=keys.make,
            summary="Make a key; its secret is shown once",
            role=Role.ADMIN,
            media_type=_JSON,
            body=_schema(documents.NewKey),
            answers=(_answer(documents.Secret, status=_CREATED),),
        ),
        Route(
            name="admin-rotate-key",
            method="POST",
            path="/admin/keys/{key}/rotate",
            handler=keys.rotate,
            summary="Give a key a second secret; the one before it ends after a while",
            role=Role.ADMIN,
            media_type=_JSON,
            body=_schema(documents.Rotation),
            answers=(_answer(documents.Secret, status=_CREATED),),
        ),
        Route(
            name="admin-revoke-key",
            method="DELETE",
            path="/admin/keys/{key}",
            handler=keys.revoke,
            summary="End a key on every replica, within a second",
            role=Role.ADMIN,
            answers=(_answer(documents.Revoked),),
        ),
    ]


def _spending(spending: SpendingAdmin) -> list[Route]:
    return [
        Route(
            name="admin-budgets",
            method="GET",
            path="/admin/budgets",
            handler=spending.budgets,
            summary="List the budgets, and what is used of them",
            role=Role.AUDITOR,
            answers=(_answer(documents.Standings),),
        ),
        Route(
            name="admin-set-budget",
            method="POST",
            path="/admin/budgets",
            handler=spending.set_budget,
            summary="Set or change a budget",
            role=Role.OPERATOR,
            media_type=_JSON,
            body=_schema(documents.NewBudget),
            answers=(_answer(documents.Budget),),
        ),
        Route(
            name="admin-drop-budget",
            method="DELETE",
            path="/admin/budgets",
            handler=spending.drop_budget,
            summary="Take a budget away",
            role=Role.OPERATOR,
            query=_query(documents.BudgetQuery),
            needed=_needed(documents.BudgetQuery),
            answers=(_answer(documents.Budget),),
        ),
        Route(
            name="admin-usage",
            method="GET",
            path="/admin/usage",
            handler=spending.usage,
            summary="Sum the usage ledger over a time span",
            role=Role.AUDITOR,
            query=_query(documents.UsageQuery),
            answers=(_answer(documents.UsageSums),),
        ),
    ]


def _kills(operation: OperationAdmin) -> list[Route]:
    return [
        Route(
            name="admin-kills",
            method="GET",
            path="/admin/kills",
            handler=operation.kills,
            summary="List what is off",
            role=Role.AUDITOR,
            answers=(_answer(documents.Kills),),
        ),
        Route(
            name="admin-turn-off",
            method="POST",
            path="/admin/kills",
            handler=operation.turn_off,
            summary="Turn a task, a model or everything off, within a second",
            role=Role.OPERATOR,
            media_type=_JSON,
            body=_schema(documents.NewKill),
            answers=(_answer(documents.Kill, status=_CREATED),),
        ),
        Route(
            name="admin-turn-on",
            method="DELETE",
            path="/admin/kills",
            handler=operation.turn_on,
            summary="Turn something on again",
            role=Role.OPERATOR,
            query=_query(documents.KillQuery),
            needed=_needed(documents.KillQuery),
            answers=(_answer(documents.TurnedOn),),
        ),
    ]


def _releases(releases: ReleaseAdmin) -> list[Route]:
    return [
        Route(
            name="admin-promote",
            method="POST",
            path="/admin/releases/promote",
            handler=releases.promote,
            summary="Let a release take over its task, if the gate allows it",
            role=Role.OPERATOR,
            media_type=_JSON,
            body=_schema(documents.NewPromotion),
            answers=(_answer(documents.Decision),),
        ),
        Route(
            name="admin-rollback",
            method="POST",
            path="/admin/releases/rollback",
            handler=releases.rollback,
            summary="Let an earlier release of a task run again, if the gate allows it",
            role=Role.OPERATOR,
            media_type=_JSON,
            body=_schema(documents.NewRollback),
            answers=(_answer(documents.Decision),),
        ),
    ]


def _readings(operation: OperationAdmin) -> list[Route]:
    return [
        Route(
            name="admin-routes",
            method="GET",
            path="/admin/routes",
            handler=operation.route_table,
            summary="List the routes, and whom they are for",
            role=Role.AUDITOR,
            answers=(_answer(documents.RouteRows),),
        ),
        Route(
            name="admin-releases",
            method="GET",
            path="/admin/releases",
            handler=operation.releases,
            summary="List what runs: the newest promotion of each environment and task",
            role=Role.AUDITOR,
            answers=(_answer(documents.Promotions),),
        ),
        Route(
            name="admin-promotions",
            method="GET",
            path="/admin/promotions",
            handler=operation.promotions,
            summary="List promotions, newest first",
            role=Role.AUDITOR,
            query=_query(documents.PromotionQuery),
            answers=(_answer(documents.Promotions),),
        ),
        Route(
            name="admin-audit",
            method="GET",
            path="/admin/audit",
            handler=operation.audit,
            summary="List the newest events of the audit log, without payloads",
            role=Role.AUDITOR,
            query=_query(documents.AuditQuery),
            answers=(_answer(documents.AuditEvents),),
        ),
        Route(
            name="admin-checkpoint",
            method="GET",
            path="/admin/audit/checkpoint",
            handler=operation.checkpoint,
            summary="Get the newest signed checkpoint of the audit log",
            role=Role.AUDITOR,
            answers=(_answer(documents.Checkpoint),),
        ),
    ]


def _answer(kind: type[msgspec.Struct], *, status: int = 200) -> Answers:
    first = (kind.__doc__ or "").partition("\n")[0]
    return Answers(status=status, description=first, schema=_schema(kind))


def _query(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return a type's members as parameters."""
    found: dict[str, Any] = _members(kind).get("properties", {})
    return found


def _needed(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(_members(kind).get("required", ()))


def _members(kind: type[msgspec.Struct]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.schema_components([kind])[1][kind.__name__]
    return found


def _schema(kind: type[msgspec.Struct]) -> Any:
    (schema,), components = msgspec.json.schema_components(
        [kind], ref_template="#/components/schemas/{name}"
    )
    return {"schema": schema, "components": components}
