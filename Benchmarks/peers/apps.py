"""apps.py - the applications that the frameworks' own worker programs load, each made when it is asked for."""
import os

from .marks import perform

FOLDER, PORT = os.environ.get("PEER_FOLDER", ""), os.environ.get("PEER_PORT", "")


def _huey():
    from huey import SqliteHuey
    huey = SqliteHuey("bench", filename=f"{FOLDER}/queue.db", results=False, fsync=True)
    huey.task_of_the_benchmark = huey.task()(perform)
    return huey


def _celery():
    from celery import Celery
    app = Celery("bench", broker=f"redis://127.0.0.1:{PORT}/0", broker_pool_limit=16)
    app.task_of_the_benchmark = app.task(name="perform", ignore_result=True)(perform)
    return app


def _procrastinate():
    import procrastinate
    # The worker program is asynchronous, producers are threads.
    connector = procrastinate.SyncPsycopgConnector if os.environ.get("PEER_THREADS") else procrastinate.PsycopgConnector
    sizes = {"min_size": 1, "max_size": int(os.environ.get("PEER_THREADS") or 4)}
    app = procrastinate.App(connector=connector(conninfo=f"postgresql://postgres@127.0.0.1:{PORT}/postgres", **sizes))
    app.task_of_the_benchmark = app.task(name="perform")(perform)
    return app


def __getattr__(name):
    makers = {"huey": _huey, "celery": _celery, "procrastinate": _procrastinate}
    if name not in makers:
        raise AttributeError(name)
    globals()[name] = makers[name]()
    return globals()[name]
