"""catalogue.py - every queue that is measured, in the order in which a round goes through them."""
from . import brokers, frameworks, libraries
from .spool import Limit, Spool

ALL = [Spool, Limit, brokers.BeanstalkdSynced, brokers.Beanstalkd, brokers.RedisAlways, brokers.RedisEverySecond,
       brokers.RabbitMQ, brokers.NATS, libraries.Huey, libraries.LiteQueue, libraries.PersistQueue,
       frameworks.Procrastinate, frameworks.RQ, frameworks.Celery]


def by_class(name):
    return next(each for each in ALL if each.__name__ == name)
