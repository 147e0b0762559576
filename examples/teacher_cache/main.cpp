// A teacher is asked once and its answers are kept in a file; students learn from the file. What may the file leave
// out? README.md has the results.

#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "report.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/io.hpp>
#include <limbeck/target/sparse_kl.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace teacher_cache {

namespace lk = limbeck;

constexpr std::size_t batch_rows = 128;
constexpr const char* fingerprint = "examples/teacher_cache, 16-256-256-26";

struct options {
  int seeds = 5, updates = 3'000, threads = all_cores();
  std::string out = "teacher_cache-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// What a student needs of a cache at a step: the gradient of its loss with respect to the logits of the samples `ids`.
using loss = std::function<void(std::span<const std::size_t> ids, const matrix& logits, matrix& gradient)>;

/// Trains on rows drawn without replacement, over and over. Adam; the rate falls to 0 along half a cosine.
void fit(mlp& net, const dataset& data, int updates, std::uint64_t seed, double rate, const loss& gradient_of) {
  adam optimizer(lk::cosine(rate, 0.0));
  lk::random_stream random(seed);
  row_numbers rows = shuffled(data.size(), seed);
  matrix gradient(std::ptrdiff_t{batch_rows}, std::ssize(data.classes));
  std::size_t next = 0;
  for (int update = 0; update < updates; ++update) {
    if (next + batch_rows > rows.size()) {
      random.shuffle(rows);
      next = 0;
    }
    const std::span<const std::size_t> ids(rows.data() + next, batch_rows);
    next += batch_rows;
    gradient_of(ids, net.forward(data.batch(ids).inputs), gradient);
    net.zero_gradients();
    net.backward(gradient);
    optimizer.step(net, lk::progress(static_cast<std::size_t>(update), static_cast<std::size_t>(updates)));
  }
}

/// How a student reads what is kept.
enum class reading {
  spread,  // a target; the mass of the classes that are not kept, in equal shares (what a dense row is read as, too)
  drop,    // a target; these classes are masked
  bucket   // sparse_kl: these classes are one outcome
};

/// One way to keep the teacher's rows, and to learn from them.
struct way {
  std::string name, curve;
  lk::cache_metadata kept;
  reading how;
};

std::vector<way> ways_at(double t) {
  using enum lk::element_type;
  std::vector<way> all;
  for (const auto type : {float32, float16, bfloat16, uint8})
    all.push_back({std::string("all logits, ") + lk::name_of(type), "all logits", {.values = type}, reading::spread});
  for (const std::size_t k : {1U, 2U, 4U, 8U, 16U}) {
    const lk::cache_metadata best{.kind = lk::cache_kind::top_k, .values = float16, .temperature = t, .k = k};
    const std::string top = "top " + std::to_string(k);
    all.push_back({top + " and the tail's mass", "top k and the tail's mass", best, reading::bucket});
    all.push_back({top + ", tail spread", "top k, tail spread", best, reading::spread});
    if (k > 1)  // one class alone says nothing: its softmax is 1
      all.push_back({top + ", tail dropped", "top k, tail dropped", best, reading::drop});
  }
  for (const std::size_t draws : {2U, 5U, 12U, 50U, 200U})
    all.push_back({std::to_string(draws) + " draws",
                   "sampled",
                   {.kind = lk::cache_kind::sampled, .values = uint8, .temperature = t, .draws = draws},
                   reading::bucket});
  return all;
}

/// Asks the teacher once for each row and keeps what `w` says. The id of a sample is its row.
void write(const std::filesystem::path& file, const way& w, const matrix& logits, std::uint64_t seed) {
  lk::cache_metadata metadata = w.kept;
  metadata.classes = static_cast<std::size_t>(logits.cols());
  metadata.teacher = fingerprint;
  std::filesystem::remove(file);
  lk::teacher_cache_writer cache(file, metadata, {.seed = seed});
  row_numbers ids(static_cast<std::size_t>(logits.rows()));
  std::iota(ids.begin(), ids.end(), std::size_t{0});
  cache.append(ids, logits);
  cache.close();
}

/// What a student learns from a cache: KL at the temperature t, times t² as usual, so that gradients keep their size.
loss learn_from(const lk::teacher_cache& cache, reading how, double t, lk::workspace& ws) {
  if (how == reading::bucket)
    return [&cache, &ws, t, kept = lk::sparse_store<float>()](std::span<const std::size_t> ids, const matrix& logits,
                                                              matrix& gradient) mutable {
      cache.gather(ids, kept);
      lk::at_temperature(t, lk::sparse_kl(kept))(logits, lk::into(gradient), ws);
    };
  const auto rest = how == reading::drop ? lk::tail::drop : lk::tail::spread;
  return [&cache, &ws, rest, objective = lk::at_temperature(t, lk::forward_kl{})](
             std::span<const std::size_t> ids, const matrix& logits, matrix& gradient) {
    objective(logits, cache.target<float>(ids, rest), lk::into(gradient), ws);
  };
}

/// The teacher's logits of all rows, and the rows.
struct lesson {
  split data;
  matrix train, test;
};

mlp new_student(const dataset& data, std::uint64_t seed) {
  return mlp({static_cast<int>(data.features.cols()), 64, 64, static_cast<int>(data.classes.size())}, 1'000 + seed);
}

outcome measure(mlp& student, const lesson& l, double t) {
  const matrix& logits = student.forward(l.data.test.features);
  const scores s = score(log_softmax(logits), l.data.test.labels);
  return {0, 1000 * divergence(l.test, logits, static_cast<float>(t)), s.accuracy, s.negative_log_likelihood,
          s.calibration_error};
}

outcome run(const way& w, const options& o, const lesson& l, double t, std::uint64_t seed) {
  const std::filesystem::path file = std::filesystem::path(o.out) / ("letter " + w.name + ", seed " +
                                                                     std::to_string(seed) + ".cache");
  write(file, w, l.train, seed);
  outcome out;
  {
    const lk::teacher_cache cache(file, {.classes = l.data.train.classes.size(), .teacher = fingerprint});
    mlp student = new_student(l.data.train, seed);
    lk::workspace ws;
    fit(student, l.data.train, o.updates, seed, 0.005, learn_from(cache, w.how, t, ws));
    out = measure(student, l, t);
    out.bytes = static_cast<double>(cache.bytes()) / static_cast<double>(cache.size());
  }
  std::filesystem::remove(file);
  return out;
}

/// The same without a file: the teacher's logits are in memory.
outcome run_without(const options& o, const lesson& l, double t, std::uint64_t seed) {
  mlp student = new_student(l.data.train, seed);
  const auto objective = lk::at_temperature(t, lk::forward_kl{});
  lk::workspace ws;
  fit(student, l.data.train, o.updates, seed, 0.005,
      [&](std::span<const std::size_t> ids, const matrix& logits, matrix& gradient) {
        const matrix rows = l.train(std::vector<std::size_t>(ids.begin(), ids.end()), Eigen::all);
        objective(logits, rows, lk::into(gradient), ws);
      });
  return measure(student, l, t);
}

constexpr const char* usage = R"(What a cache of teacher logits may leave out: students of caches of every kind, on Letter.
  --seeds N     students of each cache (5)
  --updates N   updates of every network (3000)
  --threads N   runs at a time (all cores); changes no result
  --out DIR     folder of caches, tables and plots (teacher_cache-results)
  --data DIR    folder of letter.csv.gz
  --quick       2 seeds, 60 updates: a look at the program, not at the method
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 10'000'000);
  line.whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] {
    o.seeds = 2;
    o.updates = 60;
  });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);

  lesson l{read_letter(o.data), {}, {}};
  mlp teacher({static_cast<int>(l.data.train.features.cols()), 256, 256, static_cast<int>(l.data.train.classes.size())},
              1);
  lk::workspace ws;
  fit(teacher, l.data.train, o.updates, 1, 2e-3,
      [&, objective = lk::objective(lk::cross_entropy{})](std::span<const std::size_t> ids, const matrix& logits,
                                                          matrix& gradient) {
        std::vector<int> labels;
        for (const std::size_t r : ids) labels.push_back(l.data.train.labels[r]);
        objective(logits, labels, lk::into(gradient), ws);
      });
  l.train = teacher.forward(l.data.train.features);
  l.test = teacher.forward(l.data.test.features);
  std::printf("the teacher: %.2f %% of the test rows\n", accuracy(l.test, l.data.test.labels));

  for (const double t : {1.0, 4.0}) {
    const std::vector<way> ways = ways_at(t);
    std::vector<series> all{{"no cache, logits in memory", "", {}}};
    for (const way& w : ways) all.push_back({w.name, w.curve, {}});
    for (series& s : all) s.seeds.resize(static_cast<std::size_t>(o.seeds));
    {
      const int trainings = o.seeds * static_cast<int>(all.size());
      progress_line progress("temperature " + std::to_string(static_cast<int>(t)) + ": training " +
                                 std::to_string(trainings) + " students",
                             trainings);
      parallel_for(trainings, o.threads, [&](int i) {
        const auto seed = static_cast<std::size_t>(i % o.seeds), m = static_cast<std::size_t>(i / o.seeds);
        all[m].seeds[seed] = m == 0 ? run_without(o, l, t, seed) : run(ways[m - 1], o, l, t, seed);
        progress.advance();
      });
    }
    for (std::size_t s = 0; s < all[0].seeds.size(); ++s)
      if (all[0].seeds[s].divergence != all[1].seeds[s].divergence)
        throw std::runtime_error("a cache in float32 makes another student than the logits themselves");
    report(o.out, "temperature_" + std::to_string(static_cast<int>(t)),
           "Letter, T = " + std::to_string(static_cast<int>(t)), all);
  }
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace teacher_cache

int main(int argc, char** argv) try { teacher_cache::run(argc, argv); } catch (const std::exception& e) {
  std::fprintf(stderr, "teacher_cache: %s\n", e.what());
  return 1;
}
