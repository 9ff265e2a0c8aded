# shellcheck shell=bash disable=SC2034
# Sourced by the scripts: installs the Debian packages that are missing, and only those.

# require_packages NAME...
require_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "Installing: ${missing[*]}" >&2
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    # A package's own cluster is not wanted: the scripts start private servers.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        echo "error: could not install ${missing[*]}; install them by hand and run again" >&2
        exit 1
    fi
    rm -f "$log"
}

# What building needs.
build_packages=(libpq-dev libssl-dev libhiredis-dev pkg-config)
# What the private servers and the Python parts (loader, independent tests) need.
service_packages=(postgresql redis-server python3-psycopg2 python3-cryptography)

# What the end-to-end tests add: what an operator may run beside the tool.
promised_packages=(postgresql-15-repack postgresql-15-partman)

# What the fault run adds: a pooler to be refused, clocks that jump.
chaos_packages=(pgbouncer libfaketime)

# What the other tests need.
test_packages=(python3-pytest python3-pytest-xdist python3-hypothesis python3-yaml python3-jsonschema python3-selenium
    python3-pip openssl gdb spin gcc debootstrap dpkg-dev chromium chromium-driver shellcheck)

# require_swift: the toolchain is the one thing that is not installed here.
require_swift() {
    command -v swift >/dev/null && return 0
    echo "error: no Swift toolchain on PATH; install Swift 6.2 or newer from https://swift.org/install" >&2
    exit 1
}

# Debian's Python, whose packages apt installs; another python3 may come first on PATH.
python=/usr/bin/python3

# Tools of which only a file is wanted: no service of theirs is installed or started.
tools_folder=.build/tools

# require_promtool: the checker of metrics and rules, out of Debian's prometheus.
require_promtool() {
    [ -x $tools_folder/promtool ] && return 0
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && apt-get download -q prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb .) || {
        echo "error: could not get Debian's package prometheus, for promtool" >&2
        exit 1
    }
    mkdir -p $tools_folder
    cp "$folder/usr/bin/promtool" $tools_folder/
    rm -rf "$folder"
}

# require_axe: axe-core's script, out of the PyPI package that carries it.
require_axe() {
    [ -s $tools_folder/axe.min.js ] && return 0
    local folder
    folder=$(mktemp -d)
    "$python" -m pip download -q --no-deps -d "$folder" axe-playwright-python==0.1.8 >/dev/null || {
        echo "error: could not get axe-playwright-python from PyPI, for axe-core" >&2
        exit 1
    }
    mkdir -p $tools_folder
    "$python" -m zipfile -e "$folder"/axe_playwright_python-*.whl "$folder"
    cp "$folder/axe_playwright_python/axe.min.js" $tools_folder/
    rm -rf "$folder"
}

# require_schemas: the schemas of Compose and Kubernetes and what compares files with them, out of PyPI packages. Of the
# versions of Kubernetes only those that check_deploy.py names are kept.
require_schemas() {
    [ -d $tools_folder/schemas ] && return 0
    local folder
    folder=$(mktemp -d)
    "$python" -m pip install -q --no-warn-script-location --root-user-action=ignore --target "$folder/schemas" \
        kubernetes-validate==1.37.0 check-jsonschema==0.39.0 >/dev/null || {
        echo "error: could not get kubernetes-validate and check-jsonschema from PyPI, for the schemas of deploy/" >&2
        exit 1
    }
    find "$folder/schemas/kubernetes_validate/kubernetes-json-schema" -mindepth 1 -maxdepth 1 \
        ! -name 'v1.31.0-local-strict' ! -name 'v1.37.0-local-strict' -exec rm -rf {} +
    mkdir -p $tools_folder
    mv "$folder/schemas" $tools_folder/
    rm -rf "$folder"
}

# One way to build in release for everything: with the Swift runtime linked in, so that the binary runs elsewhere.
release_flags=(-c release --static-swift-stdlib)

# build_release [PRODUCT]: the tool where no product is named.
build_release() { swift build "${release_flags[@]}" --product "${1:-reencrypt-secrets}"; }

release_folder() { swift build "${release_flags[@]}" --show-bin-path; }

# man_pages FOLDER TOOL: one page a command, from the commands' own definitions. Asking the plug-in for help builds its
# generator and nothing else; doing its work would build this package again, with other flags.
man_pages() {
    local date
    date=$(git log -1 --format=%cs 2>/dev/null || date +%F)
    swift package generate-manual --help >/dev/null
    "$(swift build --show-bin-path)/generate-manual-tool" "$2" --multi-page --date "$date" --output-directory "$1"
}

# symbol_graph FOLDER: the public symbols of the library Envelope, out of the debug build.
symbol_graph() {
    swift symbolgraph-extract -module-name Envelope -minimum-access-level public -output-dir "$1" \
        -target "$(swiftc -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p')" \
        -I "$(swift build --show-bin-path)/Modules" -Xcc -fmodule-map-file=Sources/COpenSSL/module.modulemap
}
