// Students by each loss: the same first weights, the same windows in the same order, the same number of updates.

#include "lessons.hpp"
#include "losses.hpp"

#include "../common/parallel.hpp"
#include "../common/table.hpp"

#include <limbeck/io.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace character_models {
namespace {

/// Logits as a file has them that keeps the k likeliest characters of each position and the mass of all others.
matrix through_a_cache(const std::filesystem::path& file, const matrix& logits, std::size_t k) {
  std::filesystem::remove(file);
  lk::cache_metadata kept{.kind = lk::cache_kind::top_k, .values = lk::element_type::float16, .k = k};
  kept.classes = static_cast<std::size_t>(logits.cols());
  kept.teacher = "examples/character_models";
  lk::teacher_cache_writer writer(file, kept);
  std::vector<std::size_t> ids(static_cast<std::size_t>(logits.rows()));
  std::iota(ids.begin(), ids.end(), std::size_t{0});
  writer.append(ids, logits);
  writer.close();
  const lk::teacher_cache cache(file, {.classes = kept.classes, .teacher = kept.teacher});
  matrix read(logits.rows(), logits.cols());
  lk::workspace ws;
  lk::fill(cache.target<float>(ids, lk::tail::spread), read, ws);
  std::printf("%zu of %zu characters kept: %.0f bytes a position, %zu with all in float\n", k, kept.classes,
              static_cast<double>(cache.bytes()) / static_cast<double>(cache.size()), 4 * kept.classes);
  return read;
}

struct method {
  std::string name;
  any_loss loss;
  const matrix* teacher;
};

}  // namespace

void compare_losses(lessons& l) {
  const options& o = l.o;
  const windows data(l.text.train, 64);
  const matrix kept = through_a_cache(std::filesystem::path(o.out) / "teacher.cache", l.of_first, 5);
  const std::vector<method> methods{
      {"cross-entropy", cross_entropy(), &l.of_first},
      {"cross-entropy + forward KL", cross_entropy_and_forward_kl(), &l.of_first},
      {"forward KL", forward_kl(), &l.of_first},
      {"forward KL, 5 likeliest kept", forward_kl(), &kept},
      {"forward KL, two teachers", forward_kl(), &l.of_ensemble},
      {"reverse KL", reverse_kl(), &l.of_first},
      {"Jensen-Shannon", jensen_shannon(), &l.of_first},
      {"skew KL, alpha 0.1", skew_kl(), &l.of_first},
      {"skew reverse KL, alpha 0.1", skew_reverse_kl(), &l.of_first},
      {"ATKD", atkd(), &l.of_first},
      {"AdaKD's temperatures", adakd_temperatures(), &l.of_first},
  };

  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<std::vector<double>> results(methods.size(), std::vector<double>(seeds)), apart = results;
  const matrix taught = read_all(l.first, l.text.test);
  {
    const int runs = static_cast<int>(methods.size() * seeds);
    examples::progress_line progress("training " + std::to_string(runs) + " students", runs);
    examples::parallel_for(runs, o.threads, [&](int run) {
      const std::size_t m = static_cast<std::size_t>(run) / seeds, s = static_cast<std::size_t>(run) % seeds;
      gru student = l.new_student(s);
      fit(student, remembering(*methods[m].teacher, data), methods[m].loss, data,
          {.updates = static_cast<std::size_t>(o.updates), .rate = 0.01, .seed = s});
      const matrix logits = read_all(student, l.text.test);
      results[m][s] = bits(logits, l.text.test);
      lk::workspace ws;
      apart[m][s] = lk::objective{lk::forward_kl{}}.value(logits, taught, ws) / std::numbers::ln2;
      progress.advance();
    });
  }
  examples::table t("students of " + std::to_string(l.new_student(0).parameter_count()) + " parameters",
                    {{"bits", 3}, {"less cross-entropy", 3}, {"KL from the teacher", 3}});
  std::ofstream csv(std::filesystem::path(o.out) / "losses.csv");
  csv << "method,seed,bits,kl from the teacher\n";
  for (std::size_t m = 0; m < methods.size(); ++m) {
    std::vector<double> less = results[m];
    for (std::size_t s = 0; s < seeds; ++s) {
      less[s] -= results[0][s];
      csv << methods[m].name << ',' << s << ',' << results[m][s] << ',' << apart[m][s] << '\n';
    }
    t.add(methods[m].name, {results[m], less, apart[m]});
  }
  t.print();
  if (!csv.flush()) throw std::runtime_error("cannot write into " + o.out);
}

}  // namespace character_models
