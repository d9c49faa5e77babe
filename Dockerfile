# syntax=docker/dockerfile:1
# The standalone server: docker build -t tidings . && docker run -p 8000:8000 -e TIDINGS_SECRET=... tidings

FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/tidings
# What changes rarely comes first, so that a change of the code does not install everything anew.
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tidings/bin/pip install --no-cache-dir '.[sqlalchemy]' asyncpg aiosqlite

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/tidings --create-home tidings
COPY --from=build /opt/tidings /opt/tidings
ENV PATH=/opt/tidings/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TIDINGS_HOST=0.0.0.0 \
    TIDINGS_BROKER=sqlite:////var/lib/tidings/events.db \
    TIDINGS_LOG_FORMAT=json
USER tidings
WORKDIR /var/lib/tidings
VOLUME /var/lib/tidings
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# SIGTERM sends the clients away over drain_seconds (10): give the container longer than that to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidings"]
CMD ["serve"]
