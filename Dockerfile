# One image for every Airflow component and for `hypertape` itself. Built by `docker compose build`.
FROM python:3.12.12-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN python -m venv /opt/venv
WORKDIR /src
COPY requirements.txt ./
RUN /opt/venv/bin/pip install "$(grep '^uv==' requirements.txt)" \
    && /opt/venv/bin/uv pip sync --python /opt/venv/bin/python requirements.txt
COPY pyproject.toml requirements.in README.md ./
COPY include include
COPY sql sql
COPY dags dags
COPY plugins plugins
RUN /opt/venv/bin/uv pip install --python /opt/venv/bin/python --no-deps --no-build-isolation .

FROM python:3.12.12-slim-bookworm

RUN useradd --create-home --uid 50000 hypertape \
    && install --directory --owner hypertape --group hypertape /var/lib/hypertape /var/lib/hypertape/airflow \
        /var/lib/hypertape-keys /var/lib/hypertape-backups
COPY --from=build /opt/venv /opt/venv
COPY dags /opt/hypertape/dags
COPY plugins /opt/hypertape/plugins
COPY deploy/init.sh deploy/healthy.py deploy/backup.sh /opt/hypertape/deploy/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/var/lib/hypertape/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/hypertape/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/hypertape/plugins \
    HYPERTAPE_STATE_DIR=/var/lib/hypertape
USER hypertape
WORKDIR /opt/hypertape
CMD ["hypertape", "--help"]
