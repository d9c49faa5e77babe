"""A family's gift lists, live. Read this first, then `live.py` and `routes/gifts.py`.

The whole of Tidings in this app is four steps:

1. `live.py` says who a visitor is and which lists they may follow.
2. `live.mount(app)`, below, adds the WebSocket to the app under `/realtime`.
3. A route that reads notes its place: `await live.cursor(topic, response=response)` (`routes/lists.py`).
4. A route that writes says so in the same transaction: `outbox.add(...)` (`routes/gifts.py`).
"""

from fastapi import FastAPI

from gift_list import database, errors, web
from gift_list.live import live
from gift_list.routes import gifts, lists, people

app = FastAPI(title="Gift list", lifespan=database.lifespan)
live.mount(app)
errors.install(app)
app.include_router(people.router)
app.include_router(lists.router)
app.include_router(gifts.router)
web.mount(app)  # last, for it takes every path that nothing above has taken
