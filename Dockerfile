# syntax=docker/dockerfile:1
# Sightline's image, for every node of configs/clusters/{aws,gcp,kuberay}.yaml:
#   docker build -t REGISTRY/sightline:0.1.0 .
#   docker build -t REGISTRY/sightline:0.1.0-gpu --build-arg DEVICE=gpu .
# Python is 3.10 in both, as Ray wants the same everywhere, and TensorRT 8.6.0 is made for it.
ARG DEVICE=cpu

FROM ubuntu:jammy-20240530 AS build-cpu
# With the toolkit, by which PyCUDA is compiled.
FROM nvidia/cuda:12.2.2-cudnn8-devel-ubuntu22.04 AS build-gpu

FROM build-${DEVICE} AS build
ARG DEVICE
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    build-essential python3.10-dev python3.10-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3.10 -m venv /opt/sightline
ENV PATH=/opt/sightline/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock requirements-gpu.lock ./
RUN pip install --require-hashes -r requirements.lock
RUN if [ "$DEVICE" = gpu ]; then pip install --no-deps --require-hashes -r requirements-gpu.lock; fi
COPY LICENSE README.md pyproject.toml ./
COPY engines engines
COPY actors actors
COPY cluster cluster
RUN pip install --no-deps . && python -m compileall -q /opt/sightline/lib

FROM ubuntu:jammy-20240530 AS run-cpu
# With cuBLAS and cuDNN 8, which TensorRT 8.6 loads.
FROM nvidia/cuda:12.2.2-cudnn8-runtime-ubuntu22.04 AS run-gpu

FROM run-${DEVICE}
# rsync and ssh are for `ray up`, wget for the probes of KubeRay.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    ca-certificates openssh-client python3.10 rsync wget \
 && rm -rf /var/lib/apt/lists/*
# Made here, so that what is mounted into them later finds their owner.
RUN useradd --uid 1000 --create-home --shell /bin/bash ray \
 && install -d -o ray -g ray /home/ray/.ray /var/lib/sightline
COPY --from=build --chown=ray:ray /opt/sightline /opt/sightline
COPY --chown=ray:ray configs /opt/sightline/configs
# A login shell, as `ray up` uses it, may have a PATH of its own.
RUN for name in python pip ray serve sightline; do \
      ln -s "/opt/sightline/bin/$name" "/usr/local/bin/$name"; done

# `ray up` asks the image for HOME. What `sightline up` sets for its own Ray is set here for all.
ENV HOME=/home/ray \
    LANG=C.UTF-8 \
    PATH=/opt/sightline/bin:$PATH \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    OMP_NUM_THREADS=1 \
    RAY_AUTH_MODE=token \
    RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S=1 \
    RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S=15 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_worker_niceness=0 \
    SIGHTLINE_PLAN_CACHE=/var/lib/sightline/plans \
    XDG_STATE_HOME=/var/lib/sightline/state
USER ray
WORKDIR /home/ray
CMD ["sightline", "doctor"]
