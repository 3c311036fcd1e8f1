#!/bin/sh
# Run once, when Gradescope builds the image. Install what the submissions need to be built and run.
set -eu
here=${AUTOGRADER:-/autograder}/source
apt-get update
apt-get install -y --no-install-recommends python3 gcc g++ make
# default-jdk-headless nodejs cargo
install -m 755 "$here/echolog" /usr/local/bin/echolog
# The programs of students run as this user, who cannot change the results.
id student >/dev/null 2>&1 || useradd --create-home student
