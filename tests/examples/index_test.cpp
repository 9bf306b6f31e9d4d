// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

const fs::path examples = fs::path{OTLPKIT_SOURCE_DIR} / "examples";

std::string text_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

std::set<std::string> scenarios() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator{examples}) {
    if (fs::exists(entry.path() / "main.cpp")) names.insert(entry.path().filename().string());
  }
  return names;
}

}  // namespace

TEST_CASE("the index names every scenario in both of its tables, and nothing that is not there") {
  const std::string index = text_of(examples / "README.md");
  const std::size_t patterns = index.find("## By pattern");
  REQUIRE(patterns != std::string::npos);
  for (const std::string& name : scenarios()) {
    CAPTURE(name);
    const std::size_t first = index.find("](" + name + "/README.md)");
    CHECK(first < patterns);
    CHECK(index.find("](" + name + "/README.md)", patterns) != std::string::npos);
  }
  const std::regex link{"\\]\\(([^)]*)\\)"};
  for (std::sregex_iterator m{index.begin(), index.end(), link}; m != std::sregex_iterator{}; ++m)
    CHECK_MESSAGE(fs::exists(examples / (*m)[1].str()), (*m)[1].str());
}

TEST_CASE("a scenario's README names every fault it can play, and the servers it can run on") {
  for (const std::string& name : scenarios()) {
    CAPTURE(name);
    const std::string readme = text_of(examples / name / "README.md");
    const std::string main = text_of(examples / name / "main.cpp");
    const std::regex fault{"scenario\\.fault\\(\\s*\"(\\w+)\""};
    int faults = 0;
    for (std::sregex_iterator m{main.begin(), main.end(), fault}; m != std::sregex_iterator{}; ++m, ++faults) {
      const std::string known = (*m)[1].str();
      const bool named = readme.find("`" + known + "`") != std::string::npos ||
                         readme.find("--fault " + known + "`") != std::string::npos;
      CHECK_MESSAGE(named, known);
    }
    CHECK(faults > 2);
    const auto uses = [&](const std::regex& what) {
      for (const auto& entry : fs::directory_iterator{examples / name}) {
        if (entry.path().filename() != "README.md" && std::regex_search(text_of(entry.path()), what)) return true;
      }
      return false;
    };
    CHECK((readme.find("DATABASE_URL=") != std::string::npos) == uses(std::regex{"shop::database "}));
    const std::regex on_redis{"shop::(shared_cache<|lock_store |account_cache|message_broker )"};
    CHECK((readme.find("REDIS_URL=") != std::string::npos) == uses(on_redis));
  }
}

TEST_CASE("every scenario says in its first line what it is, and has a README of the same form") {
  for (const std::string& name : scenarios()) {
    CAPTURE(name);
    CHECK(text_of(examples / name / "main.cpp").starts_with("// " + name + ": "));
    const std::string readme = text_of(examples / name / "README.md");
    CHECK(readme.starts_with("# " + name + "\n"));
    for (const char* heading : {"\n## What it teaches\n", "\n## What it prints\n", "\n## How to vary it\n"}) {
      CAPTURE(heading);
      CHECK(readme.find(heading) != std::string::npos);
    }
  }
}
