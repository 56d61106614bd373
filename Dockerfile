# Landmarks, filters and bulk annotation on CPUs: docker build -t keypoints .
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
ARG EXTRAS=scale

# What OpenCV's windows link to; slim images lack it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 keypoints
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN python3 -m venv /opt/venv
COPY pyproject.toml README.md LICENSE /source/
COPY keypoints /source/keypoints
COPY experiments /source/experiments
RUN pip install --no-cache-dir "/source[${EXTRAS}]"

USER keypoints
WORKDIR /home/keypoints
ENTRYPOINT ["keypoints"]
CMD ["--help"]
