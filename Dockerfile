# Two stages: the build tools stay in the first; the final image runs as an unprivileged user, and its
# environment has no pip.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check --only-binary :all: -r requirements.txt

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="Freshet" \
      org.opencontainers.image.description="A local, fast copy of Spotify's new releases and the artists behind them" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"
RUN groupadd --system --gid 10001 freshet \
    && useradd --system --uid 10001 --gid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin freshet
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py setup.cfg ./
COPY server server
COPY handlers handlers
COPY models models
COPY alembic alembic
RUN mkdir -p /app/var \
    && chown 10001:10001 /app/var \
    && chmod -R a+rX /app \
    && /venv/bin/python -m compileall -q server handlers models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /app/var
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/healthz', timeout=2)"]
CMD ["python", "manage.py", "run", "--no-demo", "-h", "0.0.0.0", "-p", "5000"]
