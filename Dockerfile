# Two stages: what builds the environment stays behind; what runs is not root.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin freshet \
    && mkdir -p /app/var && chown freshet /app/var
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py setup.cfg ./
COPY server server
COPY handlers handlers
COPY models models
COPY alembic alembic
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER freshet
VOLUME /app/var
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/healthz', timeout=2)"]
CMD ["python", "manage.py", "run", "-h", "0.0.0.0", "-p", "5000"]
