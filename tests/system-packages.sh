#!/bin/sh
# Installs, or names, the system packages that the tests use beyond Python's own.
set -eu
missing=""
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v ssh >/dev/null 2>&1 || missing="$missing openssh-client"
[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null 2>&1 || missing="$missing openssh-server"
if [ "$(uname)" = Linux ] && ! ldconfig -p 2>/dev/null | grep -q libgomp.so.1; then
    missing="$missing libgomp1"
fi
[ -n "$missing" ] || exit 0
if [ "$(uname)" != Linux ]; then
    echo "The sandbox tests need Linux; on this system they are skipped, each with its reason."
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get -qq update >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "The tests use these system packages:$missing"
echo "Install them first, for example with:  sudo apt install$missing"
exit 1
