# The operator's image: its program on Debian's C library, without a shell, as a user who is not root. docs/release.md says how a
# release is made, verified and built again.

# Both bases are of one Debian, so that the program finds the C library that it was linked with. The tags name what is meant; a
# release resolves each of them once and builds all platforms from the digests (--build-arg BASE=…@sha256:…).
ARG RUST=docker.io/library/rust:1.95.0-slim-trixie
ARG BASE=gcr.io/distroless/cc-debian13:nonroot

FROM ${RUST} AS tools
# What jemalloc is built with besides the compiler.
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
RUN cargo install --locked cargo-chef@0.1.78 cargo-auditable@0.7.7

# Dependencies are compiled in a layer of their own, which stays as long as the manifests do.
FROM tools AS recipe
WORKDIR /build
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

# Jemalloc is built for pages of this size or smaller (2^16 bytes), and machines with arm64 have pages of up to 64 kB.
FROM tools AS tools-arm64
ENV JEMALLOC_SYS_WITH_LG_PAGE=16

FROM tools AS tools-amd64

FROM tools-${TARGETARCH} AS build
WORKDIR /build
# Panics and logs name files as they are in this repository and in the registry, wherever they were compiled.
ENV RUSTFLAGS="--remap-path-prefix=/usr/local/cargo/registry/src/= --remap-path-prefix=/build/="
COPY --from=recipe /recipe.json /recipe.json
RUN cargo chef cook --release --locked --package cognigy-operator --bin cognigy-operator --recipe-path /recipe.json
COPY . .
# The list of crates goes into the program, where scanners and the SBOM find it.
RUN cargo auditable build --release --locked --package cognigy-operator --bin cognigy-operator

# Only the program, to look at it: docker build --target program --output dist .
FROM scratch AS program
COPY --from=build /build/target/release/cognigy-operator /

FROM ${BASE} AS image
ARG BASE
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="cognigy-operator" \
      org.opencontainers.image.description="A Kubernetes operator that keeps a Cognigy installation's webhooks as its custom resources say" \
      org.opencontainers.image.url="https://github.com/cognigy-operator/cognigy-operator" \
      org.opencontainers.image.source="https://github.com/cognigy-operator/cognigy-operator" \
      org.opencontainers.image.documentation="https://github.com/cognigy-operator/cognigy-operator/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /build/target/release/cognigy-operator /cognigy-operator
# As a number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/cognigy-operator"]
CMD ["run"]
