# The operator's image. hack/build-image makes the same one without Docker; a test compares packages, folders, user,
# environment, labels and entry point.

# iptables, nft and ip are for the fault agent, which is the same image by another entry point.
FROM debian:bookworm-slim AS root
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends python3 ca-certificates iptables nftables iproute2 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*

FROM root AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && python3 -m venv /tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1

# The locked dependencies: a layer that changes with the lock file alone. Nobody imports their tests.
COPY requirements.lock hack/images/sbom.py /source/
RUN /tools/bin/pip install --no-deps --require-hashes --only-binary :all: --report /pip-report.json \
        --target /dependencies --requirement /source/requirements.lock \
    && python3 /source/sbom.py --complete /pip-report.json /dependencies \
    && rm -rf /dependencies/bin \
    && find /dependencies -mindepth 2 -type d -name tests -prune -exec rm -rf {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /dependencies -p /opt/homeostat /dependencies

COPY pyproject.toml README.md LICENSE /source/
COPY operator /source/operator
COPY hack/images/scripts.py /source/hack/images/
RUN /tools/bin/pip wheel --no-deps --wheel-dir /wheels /source \
    && /tools/bin/pip install --no-deps --target /package /wheels/*.whl \
    && python3 /source/hack/images/scripts.py /package \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s /package -p /opt/homeostat /package

# The bill of materials, of the packages that the image has and of no others.
FROM root AS bill
ARG VERSION=0.1.0
COPY hack/images/sbom.py /
COPY --from=build /pip-report.json /
RUN python3 /sbom.py /pip-report.json "$VERSION" > /homeostat.cdx.json

FROM root
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title=homeostat \
    org.opencontainers.image.description="A Kubernetes operator that keeps services inside their objectives: it measures, heals, and proves both by breaking things on purpose." \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.licenses=Apache-2.0 \
    org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.base.name=docker.io/library/debian:bookworm-slim
COPY --from=build /dependencies /opt/homeostat
COPY --from=build /package /opt/homeostat
COPY --from=bill /homeostat.cdx.json /usr/share/sbom/homeostat.cdx.json
ENV PATH=/opt/homeostat/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PYTHONPATH=/opt/homeostat PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Large blocks go back to the kernel when they are freed: 23 MiB less for 10,000 checks.
ENV MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["python3", "-m", "homeostat"]
CMD ["run"]
