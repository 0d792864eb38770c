# One static binary and nothing else: no shell, no package manager, not root.
# A static glibc resolves names without further libraries from 2.34 on, so older bases than bookworm (2.36) will not do.
ARG RUST_VERSION=1.95
FROM rust:${RUST_VERSION}-bookworm AS build
WORKDIR /src
COPY . .
# There is no repository in here to ask for the revision: --build-arg REVISION=$(git rev-parse --short=12 HEAD)
ARG REVISION=
RUN set -eu; \
    mkdir -p /image/snapshots; \
    executable=$(SWR_EXPORTER_REVISION="$REVISION" deploy/static); \
    cp "$executable" /image/; \
    deploy/sbom "$(uname -m)-unknown-linux-gnu" > /image/sbom.cdx.json

FROM scratch
COPY --from=build /image/swr-exporter /swr-exporter
COPY --from=build /image/sbom.cdx.json /sbom.cdx.json
# Where a volume for --cache.directory is mounted, it takes over this owner.
COPY --from=build --chown=65534:65534 /image/snapshots /var/lib/swr-exporter
USER 65534:65534
EXPOSE 10179
# For another address set SWR_EXPORTER_WEB_LISTEN_ADDRESS, which serve and healthcheck both read.
HEALTHCHECK --interval=30s --timeout=5s CMD ["/swr-exporter", "healthcheck"]
ENTRYPOINT ["/swr-exporter"]
