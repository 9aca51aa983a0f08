# Builds the program for the CPU: one static file, in an image that holds nothing else. What it
# writes lies in the folder that is mounted, and belongs to who starts it.
#
#   docker build -t fluxion-cpu --build-arg FLUXION_VERSION=v1.2.3 --build-arg FLUXION_COMMIT="$(git rev-parse HEAD)" .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" fluxion-cpu train
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What fluxion --version says: the sources here have no history.
ARG FLUXION_VERSION= FLUXION_COMMIT=
RUN CGO_ENABLED=0 go build -trimpath -tags nethttpomithttp2 -ldflags="-s -w -buildid= -X main.release=$FLUXION_VERSION -X main.commit=$FLUXION_COMMIT" -o /fluxion ./cmd/fluxion && mkdir -m 1777 /empty

FROM scratch
COPY --from=build /fluxion /fluxion
COPY --from=build /empty /tmp
COPY --from=build /empty /work
# The cache of what was measured on a processor; it dies with the container.
ENV XDG_CACHE_HOME=/tmp
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["/fluxion"]
CMD ["--help"]
