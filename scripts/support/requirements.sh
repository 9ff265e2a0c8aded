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

# What the fault run adds: a pooler to be refused, clocks that jump.
chaos_packages=(pgbouncer libfaketime)

# require_swift: the toolchain is the one thing that is not installed here.
require_swift() {
    command -v swift >/dev/null && return 0
    echo "error: no Swift toolchain on PATH; install Swift 6.2 or newer from https://swift.org/install" >&2
    exit 1
}

# Debian's Python, whose packages apt installs; another python3 may come first on PATH.
python=/usr/bin/python3
