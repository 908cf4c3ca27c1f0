"""SQL statements, written once with SQLAlchemy, and compiled into text for the dialect that executes them.

A statement is compiled when it is first executed, once for each dialect in use.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from sqlalchemy import ColumnElement, Table, UnaryExpression, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import custom_op

SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")


@cache
def postgresql() -> Dialect:
    """The dialect of PostgreSQL as psycopg speaks it, loaded when it is first asked for."""
    from sqlalchemy.dialects.postgresql import psycopg

    return psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]


class Prepared:
    """A statement with positional parameters. `names` pin the order in which they must be given."""

    def __init__(self, statement: ClauseElement, names: tuple[str, ...]) -> None:
        self._statement = statement
        self._names = names

    @cached_property
    def sqlite(self) -> str:
        """The text for SQLite."""
        return self._compiled(SQLITE)

    @cached_property
    def postgresql(self) -> str:
        """The text for PostgreSQL."""
        return self._compiled(postgresql())

    def _compiled(self, dialect: Dialect) -> str:
        compiled = self._statement.compile(dialect=dialect)
        order = tuple(getattr(compiled, "positiontup", None) or ())
        if self._names and order != self._names:
            raise AssertionError(f"statement takes {order}, not {self._names}")
        if any(value is not None for value in compiled.params.values()):
            raise AssertionError(f"a constant became a parameter of {compiled}")
        return str(compiled)


def prepare(statement: ClauseElement, *names: str) -> Prepared:
    """`statement` for the DBAPI; `names` pin the order in which parameters must be given."""
    return Prepared(statement, names)


def prepare_insert(table: Table, *names: str) -> Prepared:
    """Inserts a row into `table`; the columns `names` stand in the table's own order."""
    insert = table.insert().inline().values({name: bindparam(name) for name in names})
    return prepare(insert, *names)


class Unindexed(UnaryExpression[Any]):
    """A column as an expression, of which no index knows."""

    inherit_cache = True


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, but so that SQLite does not go by an index of it.

    SQLite takes an index whenever there is one; PostgreSQL weighs what it would find, and is left to it.
    """
    return Unindexed(column, operator=custom_op("+"), type_=column.type)


@compiles(Unindexed, "sqlite")
def _as_expression(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.element, **options)}"


@compiles(Unindexed)
def _as_it_is(element: Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.element, **options)
