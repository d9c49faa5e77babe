"""Serve the app with plain uvicorn: `python -m gift_list`, at GIFT_LIST_HOST and GIFT_LIST_PORT."""

import uvicorn

from gift_list.settings import settings

if __name__ == "__main__":
    print(f"Open http://{settings.host}:{settings.port}", flush=True)
    uvicorn.run("gift_list.main:app", host=settings.host, port=settings.port, log_level="warning")
