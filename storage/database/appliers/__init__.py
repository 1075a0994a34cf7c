"""How each Change is made inside its transaction; called by ``storage.database.changes`` only."""
