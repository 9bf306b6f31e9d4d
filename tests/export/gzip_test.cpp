// SPDX-License-Identifier: MIT
#include <otlpkit/export/gzip.hpp>

#include <boost/beast/zlib/inflate_stream.hpp>

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

using otlpkit::exporters::crc32;
using otlpkit::exporters::gzip_writer;

namespace {

/// Undoes one gzip member with the inflate of Beast, and checks head and trailer by hand.
std::string gunzip(const std::string& file) {
  namespace zlib = boost::beast::zlib;
  REQUIRE(file.size() >= 18);
  REQUIRE(file.substr(0, 4) == std::string("\x1f\x8b\x08\x00", 4));
  const auto number = [&](std::size_t at) {
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < 4; ++i) n |= std::uint32_t{static_cast<unsigned char>(file[at + i])} << (8 * i);
    return n;
  };
  const std::uint32_t size = number(file.size() - 4);
  std::string out(size + 1, '\0');
  zlib::inflate_stream inflate;
  zlib::z_params z;
  z.next_in = file.data() + 10;
  z.avail_in = file.size() - 18;
  z.next_out = out.data();
  z.avail_out = out.size();
  boost::system::error_code ec;
  inflate.write(z, zlib::Flush::finish, ec);
  REQUIRE(ec == zlib::error::end_of_stream);
  REQUIRE(z.avail_in == 0);
  REQUIRE(z.avail_out == 1);
  out.resize(size);
  REQUIRE(crc32(out) == number(file.size() - 8));
  return out;
}

std::string random_content(std::mt19937_64& random, std::size_t size) {
  std::string out;
  while (out.size() < size) {
    const std::size_t run = 1 + random() % 50;
    if (random() % 2 == 0)
      out.append(run, static_cast<char>(random()));
    else
      for (std::size_t i = 0; i < run; ++i) out.push_back(static_cast<char>(random()));
  }
  out.resize(size);
  return out;
}

/// A folder of its own, gone at the end.
struct scratch_folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("otlpkit_gzip_" + std::to_string(::getpid()));
  scratch_folder() { std::filesystem::create_directories(path); }
  ~scratch_folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("CRC-32 of the check string and of its pieces") {
  CHECK(crc32("123456789") == 0xCBF43926u);
  CHECK(crc32("") == 0);
  CHECK(crc32("6789", crc32("12345")) == 0xCBF43926u);
}

TEST_CASE("what is compressed comes back, however it was cut into pieces") {
  std::mt19937_64 random{11};
  for (const std::size_t size : {0U, 1U, 100U, 16383U, 16384U, 16385U, 300'000U, 2'000'000U}) {
    CAPTURE(size);
    const std::string content = random_content(random, size);
    gzip_writer gzip;
    for (std::size_t at = 0; at < size;) {
      const std::size_t n = std::min<std::size_t>(size - at, random() % 70'000);
      gzip.write(std::string_view{content}.substr(at, n));
      at += n;
    }
    CHECK(gunzip(gzip.finish()) == content);
  }
}

TEST_CASE("repetitive content shrinks") {
  gzip_writer gzip;
  gzip.write(std::string(1'000'000, 'x'));
  CHECK(gzip.finish().size() < 2000);
}

TEST_CASE("every level gives a valid member") {
  std::mt19937_64 random{5};
  const std::string content = random_content(random, 100'000);
  for (int level = 1; level <= 9; ++level) {
    gzip_writer gzip{level};
    gzip.write(content);
    CHECK(gunzip(gzip.finish()) == content);
  }
}

TEST_CASE("the gzip program accepts it and gives the content back") {
  if (std::system("gzip --version > /dev/null 2>&1") != 0) {
    MESSAGE("no gzip program here");
    return;
  }
  const scratch_folder folder;
  std::mt19937_64 random{12};
  const std::string content = random_content(random, 500'000);
  gzip_writer gzip;
  gzip.write(content);
  {
    std::ofstream file{folder.path / "x.gz", std::ios::binary};
    file << gzip.finish();
  }
  const std::string command =
      "gzip -t '" + (folder.path / "x.gz").string() + "' && gzip -d '" + (folder.path / "x.gz").string() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream file{folder.path / "x", std::ios::binary};
  CHECK(std::string{std::istreambuf_iterator<char>{file}, {}} == content);
}
