"""The pages, as `npm run build` made them, on the same origin as the API."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from gift_list.settings import settings


def mount(app: FastAPI) -> None:
    if (settings.web / "index.html").is_file():
        app.mount("/", StaticFiles(directory=settings.web, html=True), name="web")
    else:
        app.add_api_route("/", _not_built, include_in_schema=False)


async def _not_built() -> PlainTextResponse:
    return PlainTextResponse(
        "The pages are not built yet: run `npm install` and `npm run build -w gift-list-web`.\n", 503
    )
