// SPDX-License-Identifier: MIT
// In a file of its own, so that a test may have another main().
#include <doctest/doctest.h>

int main(int argc, char** argv) { return doctest::Context{argc, argv}.run(); }
