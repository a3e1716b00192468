# The image: one static binary and the CA certificates that it trusts. `make image` first writes both to `dist`, so this build pulls
# nothing, and the released binary is the tested binary.
FROM scratch

# `amd64` or `arm64`. BuildKit, podman and buildah set it.
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown

LABEL org.opencontainers.image.title="ecr-refresher" \
      org.opencontainers.image.description="Keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# The authorities of Mozilla, from a package that the lock file pins, at the default path of rustls. To trust additional CAs, such as the
# CA of a TLS-intercepting proxy, set SSL_CERT_FILE to this file and SSL_CERT_DIR to a directory with theirs; the chart's `caBundle` does.
# To trust other CAs instead, set SSL_CERT_FILE to their file.
COPY dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY dist/$TARGETARCH/ecr-refresher /ecr-refresher

# The same user as in the chart. It is a number, so that the kubelet can verify `runAsNonRoot`.
USER 65532:65532
ENTRYPOINT ["/ecr-refresher"]
