# The image: one static binary, and the certificates of the authorities that it trusts. `make image` puts both into `dist` first, so
# that nothing is pulled here, and what is released is what was tested.
FROM scratch

# `amd64` or `arm64`; BuildKit, podman and buildah set it.
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown

LABEL org.opencontainers.image.title="ecr-refresher" \
      org.opencontainers.image.description="Keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# Where rustls looks of its own accord, as on Debian. To trust others too, such as that of a proxy that breaks TLS open, mount their file
# into this folder; to trust others instead, name their file in SSL_CERT_FILE.
COPY dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY dist/$TARGETARCH/ecr-refresher /ecr-refresher

# As in the chart: a number, which the kubelet can tell from root.
USER 65532:65532
ENTRYPOINT ["/ecr-refresher"]
