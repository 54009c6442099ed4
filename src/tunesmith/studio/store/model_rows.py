"""The models that jobs have made."""

from __future__ import annotations

from sqlalchemy import select

from tunesmith.studio.store.database import Database
from tunesmith.studio.store.job_rows import jobs_upon
from tunesmith.studio.store.rows import InUse, made, one, remove
from tunesmith.studio.store.tables import models
from tunesmith.studio.types import Model

__all__ = ["ModelRows"]


class ModelRows:
    """The models of projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, project: str, model_id: str) -> Model | None:
        """A model of the project."""
        with self._database.reading() as connection:
            return one(connection, models, Model, id=model_id, project=project)

    def all_of(self, project: str) -> list[Model]:
        """All models of the project, the newest first."""
        query = select(models).where(models.c.project == project).order_by(models.c.seq.desc())
        with self._database.reading() as connection:
            return [made(Model, row) for row in connection.execute(query).mappings()]

    def remove(self, project: str, model_id: str) -> Model | None:
        """Forget a model and return it; its blob is the caller's to remove.

        Raises InUse where jobs that have not ended begin with it.
        """
        with self._database.writing() as connection:
            found = one(connection, models, Model, lock=True, id=model_id, project=project)
            if found is not None and (beginning := jobs_upon(connection, model_id)):
                raise InUse(beginning)
            remove(connection, models, id=model_id, project=project)
        return found
