// Few steps from many: denoisers of 50 steps on eight Gaussians and on digits, and students of 4, 2 and 1 by six methods of five
// families. README.md beside this file has the results.

#include "../common/command_line.hpp"
#include "../common/parallel.hpp"
#include "../common/table.hpp"
#include "generators.hpp"
#include "regression.hpp"
#include "report.hpp"
#include "teacher.hpp"

#include <limbeck/trainer/checkpoint.hpp>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace few_step {

void check_gradients();

namespace {

struct options {
  int seeds = 3, threads = all_cores(), percent = 100;
  std::string out = "few_step_diffusion-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// How long things are trained, at 100 percent.
struct budget {
  int teacher, teacher_batch, regression, regression_batch, rounds, rounds_batch;
  double regression_rate, rounds_rate;
};
constexpr budget of_gaussians{2000, 256, 750, 256, 300, 128, 0.001, 0.001};
constexpr budget of_digits{1500, 128, 400, 128, 125, 64, 0.001, 0.001};

/// A family: students of 4, 2 and 1 steps, and how they become samplers.
constexpr int all_steps[] = {4, 2, 1};
struct family {
  std::string name;
  sampler how;
  bool rounds;  // in turn with judges
  std::function<std::vector<denoiser>(const lesson&)> learn;
};
template <class F>
auto one_each(F learn) {  // a student for each number of steps
  return [learn](const lesson& l) {
    std::vector<denoiser> students;
    for (const int steps : all_steps) students.push_back(learn(l, steps));
    return students;
  };
}
template <class F>
auto one_for_all(F learn) {
  return [learn](const lesson& l) { return std::vector<denoiser>(3, learn(l)); };
}
const std::vector<family>& families() {
  static const std::vector<family> all{{"progressive", sampler::flow, false, progressive},
                                       {"consistency", sampler::renoise, false, one_for_all(consistency)},
                                       {"sCM", sampler::renoise, false, one_for_all(continuous_consistency)},
                                       {"DMD2", sampler::renoise, true, one_each(distribution_matching)},
                                       {"f-distill", sampler::renoise, true, one_each(f_distill)},
                                       {"SiD", sampler::renoise, true, one_each(score_identity)}};
  return all;
}

/// Networks in a checkpoint.
struct networks {
  std::vector<denoiser>& all;
  template <class Archive>
  void serialize(Archive& archive) {
    for (std::size_t i = 0; i < all.size(); ++i) archive("network" + std::to_string(i), all[i]);
  }
};
/// What was trained before, where its file says that it was trained like this; else it is trained and saved.
template <class Make>
std::vector<denoiser> kept(const std::filesystem::path& file, const std::string& composition, const denoiser& like, std::size_t count, Make make) {
  std::vector<denoiser> all(count, like);
  networks state{all};
  if (std::filesystem::exists(file)) {
    lk::load_checkpoint(file, state, composition);
    return all;
  }
  all = make();
  lk::save_checkpoint(file, state, composition);
  return all;
}

struct row {
  std::string name;
  int steps;
  std::vector<marks> seeds;
};

std::vector<double> column_of(const row& r, double marks::*member) {
  std::vector<double> all;
  for (const marks& m : r.seeds) all.push_back(m.*member);
  return all;
}

void experiment(const options& o, const task& of, const budget& b, const std::string& short_name, mlp* judge) {
  const auto seeds = static_cast<std::size_t>(o.seeds), count = families().size();
  const auto share = [&](int updates) { return std::max(1, updates * o.percent / 100); };
  const std::filesystem::path out = o.out, runs = out / "runs";
  const auto file = [&](const std::string& name, std::size_t seed) { return runs / (short_name + '-' + name + '-' + std::to_string(seed) + ".ckpt"); };
  const std::string how = short_name + ", " + std::to_string(o.percent) + " percent";

  std::vector<denoiser> teachers(seeds, denoiser(of.shape(), 1));
  std::vector<std::vector<std::vector<denoiser>>> students(seeds, std::vector<std::vector<denoiser>>(count));
  {
    progress_line line(of.name + ": " + std::to_string(seeds) + " teachers, " + std::to_string(seeds * count) + " trainings", o.seeds * (1 + static_cast<long>(count)));
    parallel_for(o.seeds, o.threads, [&](int i) {
      const auto s = static_cast<std::size_t>(i);
      teachers[s] = kept(file("teacher", s), how, teachers[s], 1, [&] {
        return std::vector{train_teacher(of, share(b.teacher), b.teacher_batch, s, file("teacher-half-way", s))};
      })[0];
      line.advance();
    });
    parallel_for(o.seeds * static_cast<int>(count), o.threads, [&](int i) {
      const std::size_t f = count - 1 - static_cast<std::size_t>(i) / seeds, s = static_cast<std::size_t>(i) % seeds;  // the longest first
      const family& one = families()[f];
      const lesson l{of, teachers[s], share(one.rounds ? b.rounds : b.regression), one.rounds ? b.rounds_batch : b.regression_batch,
                     one.rounds ? b.rounds_rate : b.regression_rate, 100 + s};
      students[s][f] = kept(file(one.name, s), how, teachers[s], 3, [&] { return one.learn(l); });
      line.advance();
    });
  }

  std::vector<row> rows;
  std::vector<std::vector<matrix>> clouds, ways;
  std::vector<matrix> digits;
  const std::size_t samples = of.class_count > 0 ? static_cast<std::size_t>(of.rows.rows()) : 2000;
  std::vector<int> classes = of.classes, twice;
  for (int i = 0; i < 20; ++i) twice.push_back(i % 10);
  if (of.class_count == 0) twice.clear();
  const matrix fresh = of.class_count > 0 ? of.rows : gaussian_task(1'000).rows.topRows(2000);
  const auto add = [&](const std::string& name, int steps, const std::function<matrix(std::size_t)>& sampled) {
    rows.push_back({name, steps, {}});
    for (std::size_t s = 0; s < seeds; ++s) rows.back().seeds.push_back(measure(of, sampled(s), classes, fresh, judge));
  };
  const auto look = [&](denoiser& net, sampler sampling, int steps) {  // of the first seed
    const lk::random_stream random(77);
    if (of.class_count > 0) {
      digits.push_back(sample(net, sampling, steps, 20, twice, random));
    } else {
      clouds.back().push_back(sample(net, sampling, steps, 2000, {}, random));
    }
  };
  const auto way = [&](denoiser& net, sampler sampling, int steps) {
    if (of.class_count > 0) return;
    ways.emplace_back();
    sample(net, sampling, steps, 24, {}, lk::random_stream(78), [&](const matrix& x, int) { ways.back().push_back(x); });
  };
  if (of.class_count == 0)  // what is small
    add("more data", 0, [&](std::size_t s) { return matrix(gaussian_task(2'000 + s).rows.topRows(2000)); });
  clouds.emplace_back();
  for (const int steps : {50, 4, 2, 1}) {
    add("teacher", steps, [&](std::size_t s) { return sample(teachers[s], sampler::flow, steps, samples, classes, lk::random_stream(s).split(9)); });
    if (of.class_count == 0 ? steps != 50 : steps == 50 || steps == 1) look(teachers[0], sampler::flow, steps);
  }
  way(teachers[0], sampler::flow, 50);
  for (std::size_t f = 0; f < count; ++f) {
    clouds.emplace_back();
    for (std::size_t k = 0; k < 3; ++k) {
      add(families()[f].name, all_steps[k], [&](std::size_t s) {
        return sample(students[s][f][k], families()[f].how, all_steps[k], samples, classes, lk::random_stream(s).split(9));
      });
      if (of.class_count == 0 || k == 2) look(students[0][f][k], families()[f].how, all_steps[k]);
    }
    if (f == 0 || f == 2 || f == 3) way(students[0][f][0], families()[f].how, 4);
  }

  const bool labelled = of.class_count > 0;
  table results(of.name, labelled ? std::vector<column>{{"energy distance", 4}, {"class right, %", 1}}
                                  : std::vector<column>{{"energy distance", 4}, {"modes of 8", 1}, {"near a mode, %", 1}});
  std::ofstream csv(out / (short_name + ".csv"));
  csv << "method,steps,seed,energy_distance,modes,near_a_mode,class_right\n";
  for (const row& r : rows) {
    const std::string name = r.steps == 0 ? r.name : r.name + ", " + std::to_string(r.steps);
    if (labelled) {
      results.add(name, {column_of(r, &marks::energy), column_of(r, &marks::accuracy)});
    } else {
      results.add(name, {column_of(r, &marks::energy), column_of(r, &marks::modes), column_of(r, &marks::near)});
    }
    for (std::size_t s = 0; s < r.seeds.size(); ++s)
      csv << r.name << ',' << r.steps << ',' << s << ',' << r.seeds[s].energy << ',' << r.seeds[s].modes << ',' << r.seeds[s].near << ','
          << r.seeds[s].accuracy << '\n';
  }
  results.print();
  if (labelled) {
    draw_digits(out / "digits.png", of, digits);
  } else {
    draw_gaussians(out / "gaussians.png", clouds);
    draw_ways(out / "ways.png", ways);
  }
}

constexpr const char* usage = R"(Diffusion in 50 steps and in 4, 2 and 1, on eight Gaussians and on digits.
  --seeds N     teachers, and students of each (3)
  --percent P   of the updates of everything (100)
  --threads N   trainings at a time (all cores); changes no result
  --out DIR     folder of tables, pictures and finished trainings, which another run there does not repeat
  --data DIR    folder of digits.csv.gz
  --quick       one seed, a hundredth of the updates: a look at the program, and its derivatives checked
)";

void run(int argc, char** argv) {
  options o;
  bool quick = false;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--percent", o.percent, 1, 100'000).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 1, o.percent = 1, quick = true; });
  line.parse(argc, argv);
  if (quick) {
    check_gradients();
    std::filesystem::remove_all(std::filesystem::path(o.out) / "runs");  // it is to train
  }
  std::filesystem::create_directories(std::filesystem::path(o.out) / "runs");

  experiment(o, gaussian_task(7), of_gaussians, "gaussians", nullptr);
  const task digits = digit_task(o.data);
  mlp judge = train_classifier(digits, 20, 1);
  std::printf("the classifier is right on %.1f %% of the digits, which it has seen\n", accuracy(judge.forward(digits.rows), digits.classes));
  experiment(o, digits, of_digits, "digits", &judge);
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace
}  // namespace few_step

int main(int argc, char** argv) try {
  few_step::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "few_step_diffusion: %s\n", e.what());
  return 1;
}
