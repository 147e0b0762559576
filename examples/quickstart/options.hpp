#ifndef LIMBECK_QUICKSTART_OPTIONS_HPP
#define LIMBECK_QUICKSTART_OPTIONS_HPP

// What can be changed from the command line.

#include "letter.hpp"
#include "students.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

namespace quickstart {

constexpr int checkpoints = 40;  // points of a learning curve

struct options {
  int seeds = 10;
  int updates = 6'000;
  int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  bool quick = false;
  student_settings student;
  std::string out = "quickstart-results";
  std::string data = LIMBECK_EXAMPLE_FOLDER "/../data/letter.csv.gz";
};

constexpr const char* usage = R"(Distils three large teachers into a small student, on the Letter data set.
  --seeds N     runs of each student (10)
  --updates N   updates of every run, the teachers' too (6000); rounded down to a multiple of 40
  --threads N   runs at a time (all cores); changes no result
  --labels N    labelled rows of the student (1600; at most 16000, which is all)
  --width N     hidden units in each of the student's two layers (64)
  --hot T       temperature at the start of a run (8)
  --cold T      temperature at its end (1); with the same value twice, the temperature is constant
  --out DIR     folder of the teachers, the tables and the plots (quickstart-results)
  --data FILE   letter.csv.gz
  --quick       2 seeds, 1000 updates, one fold: a look at the program, not at the method
)";

inline double number_in(double low, double high, const std::string& text) {
  char* end = nullptr;
  const double x = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(x >= low && x <= high))
    throw std::runtime_error("'" + text + "' is not a number in range; try --help");
  return x;
}

inline options parse(int argc, char** argv) {
  options o;
  const auto whole = [](int low, int high, const std::string& s) { return static_cast<int>(number_in(low, high, s)); };
  const std::map<std::string, std::function<void(const std::string&)>> with_value{
      {"--seeds", [&](const auto& s) { o.seeds = whole(1, 1'000, s); }},
      {"--updates", [&](const auto& s) { o.updates = whole(checkpoints, 10'000'000, s); }},
      {"--threads", [&](const auto& s) { o.threads = whole(1, 1'024, s); }},
      {"--labels", [&](const auto& s) { o.student.labels = whole(100, training_rows, s); }},
      {"--width", [&](const auto& s) { o.student.width = whole(1, 4'096, s); }},
      {"--hot", [&](const auto& s) { o.student.hot = number_in(1e-3, 1e3, s); }},
      {"--cold", [&](const auto& s) { o.student.cold = number_in(1e-3, 1e3, s); }},
      {"--out", [&](const auto& s) { o.out = s; }},
      {"--data", [&](const auto& s) { o.data = s; }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    }
    if (name == "--quick") {
      o.quick = true;
      o.seeds = 2;
      o.updates = 1'000;
      continue;
    }
    const auto found = with_value.find(name);
    if (found == with_value.end() || i + 1 == argc) throw std::runtime_error("cannot use '" + name + "'; try --help");
    found->second(argv[++i]);
  }
  o.updates -= o.updates % checkpoints;
  return o;
}

}  // namespace quickstart

#endif
