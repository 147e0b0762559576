// Active distillation on real data: a teacher of few examples teaches a student on rows without labels; then somebody
// has to say which rows get the next labels. README.md has the results.

#include "../common/command_line.hpp"
#include "../common/metrics.hpp"
#include "../common/parallel.hpp"
#include "lab.hpp"
#include "report.hpp"

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

namespace active_distillation {

struct options {
  int seeds = 10, updates = 800, rounds = 7, threads = all_cores();
  std::string out = "active_distillation-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// What there is to choose by.
struct models {
  const lab& data;
  student net;
  matrix teacher;  // logits over the pool
  auto heads() { return net.forward(data.pool.features); }
  matrix prediction() { return net.predict(data.pool.features); }
  const matrix& features() {
    heads();
    return net.features();
  }
};

/// A way to choose, as the table names it.
struct arm {
  std::string name;
  std::function<std::vector<std::size_t>(models&, const lk::query&)> choose;
  int heads = 2;
  bool with_teacher = true;  // otherwise the student sees the labelled rows alone
};
const auto at_random = [](models& m, const lk::query& q) { return lk::random_rows{}(m.teacher, q); };
const std::vector<arm> arms{
    {"random", at_random},  // the others' measure
    {"random, one head", at_random, 1},
    {"random, no teacher", at_random, 1, false},
    {"entropy", [](models& m, const lk::query& q) { return lk::entropy_sampling()(m.prediction(), q); }},
    {"margin", [](models& m, const lk::query& q) { return lk::margin_sampling()(m.prediction(), q); }},
    {"k-center, student's features", [](models& m, const lk::query& q) { return lk::k_center<>{}(m.features(), q); }},
    {"PCoreSet, both heads",  // as in the paper
     [](models& m, const lk::query& q) {
       const auto h = m.heads();
       return lk::pcoreset{}(lk::mixed_heads(h.of<"logits">(), h.of<"kd">()), q);
     }},
    {"PCoreSet, head for labels",
     [](models& m, const lk::query& q) { return lk::pcoreset{}(lk::softmax_of(m.heads().of<"logits">()), q); }},
    {"PCoreSet, teacher", [](models& m, const lk::query& q) { return lk::pcoreset{}(lk::softmax_of(m.teacher), q); }},
    {"k-means++, student's features",
     [](models& m, const lk::query& q) { return lk::k_means_plus_plus<>{}(m.features(), q); }},
    {"BADGE",
     [](models& m, const lk::query& q) {
       const matrix logits = m.prediction();
       return lk::badge(m.features())(logits, q);
     }},
    {"CLUE",
     [](models& m, const lk::query& q) {
       const matrix logits = m.prediction();
       return lk::clue(m.features())(logits, q);
     }},
    {"TypiClust, teacher's features",
     [](models& m, const lk::query& q) { return lk::typiclust<>{}(m.data.pool_features, q); }},
};

/// 0.5 CE + 0.5 (KD of labelled rows + KD of the others), of means over as many rows: CE and the mean KD of all.
const auto both_heads = 0.5 * lk::cross_entropy{} + lk::at<"kd", "logits">(lk::at_temperature(2.0, lk::forward_kl{}));

/// Begins with a label a class, drawn by the seed, and adds as many in each round.
history run(const arm& how, const lab& data, const options& o, std::uint64_t seed) {
  const std::size_t classes = data.pool.classes.size();
  row_numbers first;
  std::vector<bool> seen(classes);
  for (const std::size_t r : shuffled(data.pool.size(), 100 + seed)) {
    const auto label = static_cast<std::size_t>(data.pool.labels[r]);
    if (!seen[label]) first.push_back(r);
    seen[label] = true;
  }

  models now{data, student(static_cast<int>(classes), how.heads, 0), {}};
  history scores;
  const auto train = [&](std::span<const std::size_t> rows, std::span<const int> labels, std::size_t round) {
    const auto columns = static_cast<Eigen::Index>(classes);
    now.teacher = few_shot_logits(data.pool_features, data.pool_features, rows, labels, columns);
    scores.teacher.push_back(
        accuracy(few_shot_logits(data.test_features, data.pool_features, rows, labels, columns), data.test.labels));

    partly_labelled pool{data.pool, std::vector<int>(data.pool.size(), -100)};
    for (std::size_t i = 0; i < rows.size(); ++i) pool.known[rows[i]] = labels[i];
    row_numbers labelled(rows.begin(), rows.end()), others;
    for (std::size_t r = 0; r < pool.size(); ++r)
      if (pool.known[r] == -100) others.push_back(r);

    const std::uint64_t start = 100 * seed + round;
    now.net = student(static_cast<int>(classes), how.heads, start);
    const auto learn = [&](auto&& teacher, const auto& objective, lk::mixed_draw batches) {
      lk::trainer{now.net, teacher, objective, adam(lk::cosine(0.01, 0.0))}.fit(
          lk::drawn_by(batches, pool), {.steps = static_cast<std::size_t>(o.updates), .seed = start});
    };
    if (how.with_teacher) learn(lk::cached_teacher(now.teacher), both_heads, {{labelled, 64}, {others, 64}});
    else learn(lk::no_teacher{}, lk::cross_entropy{}, {{labelled, 128}});
    scores.student.push_back(accuracy(now.net.predict(data.test.features), data.test.labels));
  };
  lk::active_rounds(
      {.rounds = static_cast<std::size_t>(o.rounds), .budget = classes, .seed = seed}, first, train,
      [&]() -> const matrix& { return now.teacher; },
      [&](const matrix&, const lk::query& q) { return how.choose(now, q); },
      [&](std::span<const std::size_t> rows) { return data.pool.batch(rows).labels; });
  return scores;
}

constexpr const char* usage = R"(Active distillation: thirteen ways to choose which rows of a pool get labels.
  --seeds N    draws of the first labels (10)
  --updates N  updates of every student (800)
  --rounds N   trainings, 13 labels between two of them (7)
  --threads N  runs at a time (all cores); changes no result
  --out DIR    folder of the tables and the plots (active_distillation-results)
  --data DIR   folder of letter.csv.gz
  --quick      2 seeds, 100 updates, 3 rounds: a look at the program, not at the method
)";

void run(int argc, char** argv) {
  options o;
  bool quick = false;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 10'000'000);
  line.whole("--rounds", o.rounds, 1, 100).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] {
    quick = true;
    o.seeds = 2;
    o.updates = 100;
    o.rounds = 3;
  });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);

  const lab even(o.data, quick ? 100 : 3'000);
  const lab uneven = with_rare_classes(even, 0.05);
  std::printf("%6.1f s  the teacher's features have learnt the letters N to Z\n", seconds());
  std::vector<std::string> names;
  for (const arm& a : arms) names.push_back(a.name);
  for (const lab* data : {&even, &uneven}) {
    const std::string pool = data == &even ? "even" : "uneven";
    outcome all(arms.size(), std::vector<history>(static_cast<std::size_t>(o.seeds)));
    {
      const int runs = o.seeds * static_cast<int>(arms.size());
      progress_line progress(pool + " pool of " + std::to_string(data->pool.size()) + " rows, " + std::to_string(runs) +
                                 " runs of " + std::to_string(o.rounds) + " rounds",
                             runs);
      parallel_for(runs, o.threads, [&](int i) {
        const auto a = static_cast<std::size_t>(i / o.seeds), seed = static_cast<std::size_t>(i % o.seeds);
        all[a][seed] = run(arms[a], *data, o, seed);
        progress.advance();
      });
    }
    report(o.out, pool, names, all);
  }
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace active_distillation

int main(int argc, char** argv) try { active_distillation::run(argc, argv); } catch (const std::exception& e) {
  std::fprintf(stderr, "active_distillation: %s\n", e.what());
  return 1;
}
