"""Import this to have every stream kind and event topic registered: what reads stored events of any kind needs all of them."""

from domain import agent, deadletter, run, task, workflow
from domain.trade import campaign, price, product, review, stock

MODULES = (run, workflow, task, agent, deadletter, product, price, stock, campaign, review)
