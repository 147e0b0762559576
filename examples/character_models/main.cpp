// Language models of characters on Persuasion: students of a few thousand parameters, and what helps them. README.md beside this
// file has the setting and the results.

#include "lessons.hpp"
#include "losses.hpp"
#include "ngram.hpp"
#include "windows.hpp"

#include "../common/command_line.hpp"
#include "../common/parallel.hpp"

#include <limbeck/targets.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>

namespace character_models {

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

gru taught(const options& o, const novel& text, std::uint64_t seed) {
  return {text.size(), static_cast<std::size_t>(o.teacher_width), seed, 0.3};
}

novel shortened(novel text, std::size_t most) {
  text.train.resize(std::min(most, text.train.size()));
  text.test.resize(std::min(most, text.test.size()));
  return text;
}

lessons::lessons(const options& options)
    : o(options), text(shortened(read_persuasion(o.data), o.most)), first(taught(o, text, 1)), second(taught(o, text, 2)) {
  for (const int order : {3, 5}) {
    ngram model(text.train, order, text.size());
    std::printf("%d-gram: %.3f bits a character\n", order, bits(read_all(model, text.test), text.test));
  }
  const windows data(text.train, 64);
  examples::parallel_for(2, o.threads, [&](int i) {
    fit(i == 0 ? first : second, nobody(), cross_entropy(), data,
        {.updates = static_cast<std::size_t>(o.teacher_updates), .rate = 0.004, .seed = static_cast<std::uint64_t>(i),
         .checkpoint = o.teachers.empty() ? std::filesystem::path() : std::filesystem::path(o.teachers) / (i == 0 ? "first" : "second")});
  });
  of_first = read_all(first, text.train);
  const auto together = [](const matrix& a, const matrix& b) {
    matrix all(a.rows(), a.cols());
    lk::workspace ws;
    lk::fill(lk::mean_of_probabilities(a, b), all, ws);
    return all;
  };
  of_ensemble = together(of_first, read_all(second, text.train));
  const matrix a = read_all(first, text.test), b = read_all(second, text.test), both = together(a, b);
  ngram model(text.train, 5, text.size());
  const matrix counts = read_all(model, text.test);
  matrix all(a.rows(), a.cols());
  lk::workspace ws;
  lk::fill(lk::mean_of_probabilities(a, b, counts), all, ws);
  std::printf("teachers of %zu parameters: %.3f and %.3f bits, together %.3f, with the 5-gram %.3f\n%.0f s of processor time\n",
              first.parameter_count(), bits(a, text.test), bits(b, text.test), bits(both, text.test), bits(all, text.test),
              processor_seconds());
}

constexpr const char* usage = R"(Language models of characters: what a small one learns from a larger one, on Persuasion.
  --seeds N            students of each kind (3)
  --updates N          of each student, 32 windows of 64 characters each (1500)
  --teacher-updates N  of the two teachers (1500)
  --teacher-width N    of their state (256)
  --student-width N    (24)
  --policy-updates N   with what a student writes (200)
  --hacking-updates N  of the students of an oracle's student (600)
  --teachers DIR       where trained teachers are kept, and taken from the next time
  --threads N          runs at a time (2); changes no result
  --out DIR            folder of tables and plots (character_models-results)
  --data DIR           folder of persuasion.txt.gz
  --quick              a look at the program, not at the methods; checks the backward pass
)";

void run(int argc, char** argv) {
  options o;
  examples::command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 10'000'000);
  line.whole("--teacher-updates", o.teacher_updates, 1, 10'000'000).whole("--teacher-width", o.teacher_width, 1, 10'000);
  line.whole("--student-width", o.student_width, 1, 10'000).whole("--policy-updates", o.policy_updates, 1, 10'000'000);
  line.whole("--hacking-updates", o.hacking_updates, 1, 10'000'000).whole("--threads", o.threads, 1, 1'024);
  line.text("--teachers", o.teachers).text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] {
    check_gradient();
    o.most = 20'000;
    o.seeds = 1, o.updates = 20, o.teacher_width = 32, o.teacher_updates = 20, o.policy_updates = 4, o.hacking_updates = 20;
  });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);
  if (!o.teachers.empty()) std::filesystem::create_directories(o.teachers);

  lessons l(o);
  compare_losses(l);
  compare_policies(l);
  watch_hacking(o, l.text);
  std::printf("%.0f s of processor time, %.0f s in all\n", processor_seconds(), examples::seconds());
}

}  // namespace character_models

int main(int argc, char** argv) try {
  character_models::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "character_models: %s\n", e.what());
  return 1;
}
