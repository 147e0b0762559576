// Dense predictions on canvases of digits: a segmenter distilled by pixels, channels, boundaries and objects, and
// anomalies found by what a student could not learn. README.md beside this file explains the setting and has the
// results.

#include "../common/command_line.hpp"
#include "../common/parallel.hpp"
#include "../common/picture.hpp"
#include "../common/table.hpp"
#include "anomalies.hpp"
#include "segmentation.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace digit_canvas {

struct options {
  int seeds = 6, updates = 600, teacher_updates = 3'000, labelled = 24, test = 200, threads = all_cores();
  std::string out = "digit_canvas-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

constexpr std::size_t training_digits = 1'200;  // the others are on test canvases only
constexpr std::size_t shown = 6;                // canvases in a picture

/// Those of the first or of the other digits that are, or are not, the anomaly.
row_numbers digits_where(const digit_images& all, bool train, const std::function<bool(int)>& use) {
  row_numbers rows;
  for (std::size_t r = 0; r < all.digits.size(); ++r)
    if ((r < training_digits) == train && use(all.digits[r])) rows.push_back(r);
  return rows;
}
bool any(int) { return true; }

// --- segmentation
// ---------------------------------------------------------------------------------------------------------

colour colour_of(int label) {  // background dark, digits apart
  constexpr colour all[classes] = {{30, 30, 30},   {213, 94, 0},    {0, 114, 178},  {0, 158, 115},
                                   {240, 228, 66}, {204, 121, 167}, {230, 159, 0},  {86, 180, 233},
                                   {160, 90, 40},  {150, 150, 150}, {255, 255, 255}};
  return all[label];
}

void segmentation(const options& o, const digit_images& digits) {
  const canvases many = draw_canvases(digits, {digits_where(digits, true, any), 1'000, 1, 4, 1});
  const canvases test =
      draw_canvases(digits, {digits_where(digits, false, any), static_cast<std::size_t>(o.test), 1, 4, 2});
  mlp teacher = train_teacher(many, o.teacher_updates, 1);
  const std::vector<int> teacher_says = segment(teacher, test, teacher_radius);

  const std::vector<recipe> all = recipes();
  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<std::vector<double>> iou(all.size(), std::vector<double>(seeds)), accuracy = iou;
  std::vector<std::vector<int>> first_says(all.size());
  const int runs = o.seeds * static_cast<int>(all.size());
  {
    progress_line progress("training " + std::to_string(runs) + " segmenters", runs);
    parallel_for(runs, o.threads, [&](int i) {
      const auto m = static_cast<std::size_t>(i) % all.size(), s = static_cast<std::size_t>(i) / all.size();
      const canvases few =
          draw_canvases(digits, {digits_where(digits, true, any), static_cast<std::size_t>(o.labelled), 1, 4, 100 + s});
      mlp knows = teacher;
      const lessons l(few, knows);
      mlp student = train_student(l, all[m], o.updates, s);
      const std::vector<int> says = segment(student, test, student_radius);
      lk::confusion_matrix counts(classes);
      counts.update(test.labels, says);
      iou[m][s] = 100 * counts.mean_iou();
      accuracy[m][s] = 100 * counts.accuracy();
      if (s == 0) first_says[m] = says;
      progress.advance();
    });
  }

  table results("segmentation, " + std::to_string(o.labelled) + " canvases",
                {{"mIoU, %"}, {"less labels only"}, {"less pixel KL"}, {"pixels right, %"}});
  results.add("teacher", {{100 * lk::mean_iou(test.labels, teacher_says, classes)}, {}, {}, {}});
  std::ofstream csv(std::filesystem::path(o.out) / "segmentation.csv");
  csv << "recipe,seed,miou,accuracy\n";
  for (std::size_t m = 0; m < all.size(); ++m) {
    const auto less = [&](std::size_t base) {  // seed by seed: the same canvases, the same initial weights
      std::vector<double> d = iou[m];
      for (std::size_t s = 0; s < seeds; ++s) d[s] -= iou[base][s];
      return d;
    };
    using numbers = std::vector<double>;
    results.add(all[m].name, {iou[m], m == 0 ? numbers() : less(0), m < 2 ? numbers() : less(1), accuracy[m]});
    for (std::size_t s = 0; s < seeds; ++s)
      csv << all[m].name << ',' << s << ',' << iou[m][s] << ',' << accuracy[m][s] << '\n';
  }
  results.print();

  tiles picture(shown, 3 + all.size(), shape.height, shape.width, 4);
  for (std::size_t n = 0; n < shown && n < test.size(); ++n)
    for (std::size_t p = 0; p < pixels; ++p) {
      const std::size_t y = p / shape.width, x = p % shape.width, i = n * pixels + p;
      picture.set(n, 0, y, x, grey(static_cast<double>(test.grey.data()[i])));
      picture.set(n, 1, y, x, colour_of(test.labels[i]));
      picture.set(n, 2, y, x, colour_of(teacher_says[i]));
      for (std::size_t m = 0; m < all.size(); ++m) picture.set(n, 3 + m, y, x, colour_of(first_says[m][i]));
    }
  picture.write_png(std::filesystem::path(o.out) / "segmentation.png");
}

// --- anomalies
// ------------------------------------------------------------------------------------------------------------

void anomalies(const options& o, const digit_images& digits) {
  const auto is_normal = [](int d) { return d != 9; };
  const auto is_not = [](int d) { return d == 9; };
  const auto count = static_cast<std::size_t>(o.test);
  const canvases normal = draw_canvases(digits, {digits_where(digits, true, is_normal), 400, 1, 4, 3});
  const canvases good = draw_canvases(digits, {digits_where(digits, false, is_normal), count, 1, 1, 4});
  const canvases bad = draw_canvases(digits, {digits_where(digits, false, is_not), count, 1, 1, 5});
  const canvases held_out = draw_canvases(digits, {digits_where(digits, true, is_normal), count, 1, 1, 6});

  struct way {
    std::string name;
    bool trained;
    double p_hard;
  };
  const std::vector<way> ways{{"random teacher, all errors", false, 0},
                              {"random teacher, hardest 10 %", false, 0.9},
                              {"trained teacher, all errors", true, 0},
                              {"trained teacher, hardest 10 %", true, 0.9}};
  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<std::vector<double>> by_largest(ways.size(), std::vector<double>(seeds)), by_mean = by_largest,
                                                                                        flagged = by_largest;
  std::vector<std::vector<float>> maps_shown;  // good, then bad, of the last way and the first seed
  std::vector<mlp> trained(seeds, mlp({1, 1}, 0));
  {
    const int runs = o.seeds * static_cast<int>(ways.size());
    progress_line progress(
        "training " + std::to_string(o.seeds) + " teachers and " + std::to_string(runs) + " students", runs + o.seeds);
    parallel_for(o.seeds, o.threads, [&](int s) {
      trained[static_cast<std::size_t>(s)] =
          train_teacher(normal, o.teacher_updates / 2, 200 + static_cast<std::uint64_t>(s));
      progress.advance();
    });
    parallel_for(runs, o.threads, [&](int i) {
      const auto w = static_cast<std::size_t>(i) % ways.size(), s = static_cast<std::size_t>(i) / ways.size();
      mlp net({81, 64, static_cast<int>(features), static_cast<int>(classes)}, 300 + s);
      normalised_teacher teacher(ways[w].trained ? trained[s] : net, normal);
      const lk::objective objective{lk::hard_quantile{.p_hard = ways[w].p_hard}};
      mlp student = imitate(teacher, normal, objective, o.updates, s);

      // normal canvases that the student was not trained on say what is usual
      std::vector<float> usual;
      for (std::size_t n = 0; n < held_out.size(); ++n) {
        const auto map = map_of(student, teacher, held_out, n);
        usual.insert(usual.end(), map.begin(), map.end());
      }
      const lk::quantile_normaliser normalise(usual);
      std::vector<double> largest[2], mean[2];
      double above = 0;
      for (const bool anomalous : {false, true}) {
        const canvases& of = anomalous ? bad : good;
        for (std::size_t n = 0; n < of.size(); ++n) {
          auto map = map_of(student, teacher, of, n);
          normalise(map);
          double sum = 0;
          for (const float v : map) sum += static_cast<double>(v);
          largest[anomalous].push_back(static_cast<double>(*std::max_element(map.begin(), map.end())));
          mean[anomalous].push_back(sum / pixels);
          if (i == static_cast<int>(ways.size()) - 1 && n < shown) maps_shown.push_back(map);
        }
      }
      std::vector<double> sorted = largest[0];
      std::sort(sorted.begin(), sorted.end());
      const double threshold = sorted[sorted.size() * 95 / 100];
      for (const double a : largest[1]) above += a > threshold;
      by_largest[w][s] = area_under_curve(largest[0], largest[1]);
      by_mean[w][s] = area_under_curve(mean[0], mean[1]);
      flagged[w][s] = 100 * above / static_cast<double>(bad.size());
      progress.advance();
    });
  }

  table results("anomalies: 9 among 0 to 8", {{"AUC, largest", 3}, {"AUC, mean", 3}, {"9s found, 5 % false, %"}});
  std::ofstream csv(std::filesystem::path(o.out) / "anomalies.csv");
  csv << "way,seed,auc_largest,auc_mean,found\n";
  for (std::size_t w = 0; w < ways.size(); ++w) {
    results.add(ways[w].name, {by_largest[w], by_mean[w], flagged[w]});
    for (std::size_t s = 0; s < seeds; ++s)
      csv << ways[w].name << ',' << s << ',' << by_largest[w][s] << ',' << by_mean[w][s] << ',' << flagged[w][s]
          << '\n';
  }
  results.print();

  tiles picture(4, shown, shape.height, shape.width,
                4);  // normal canvases and their maps, then anomalous ones and theirs
  for (std::size_t k = 0; k < maps_shown.size(); ++k)
    for (std::size_t p = 0; p < pixels; ++p) {
      const std::size_t part = k / shown, n = k % shown, y = p / shape.width, x = p % shape.width;
      const canvases& of = part == 0 ? good : bad;
      picture.set(2 * part, n, y, x, grey(static_cast<double>(of.grey.data()[n * pixels + p])));
      picture.set(2 * part + 1, n, y, x, grey(static_cast<double>(maps_shown[k][p]) / 0.3));
    }
  picture.write_png(std::filesystem::path(o.out) / "anomalies.png");
}

constexpr const char* usage = R"(Segmentation and anomalies on canvases of handwritten digits.
  --seeds N            draws of labelled canvases, and of networks (6)
  --updates N          updates of every student (600)
  --teacher-updates N  updates of the teacher (3000)
  --labelled N         canvases that a student of segmentation sees (24)
  --test N             canvases to test on (200)
  --threads N          runs at a time (all cores); changes no result
  --out DIR            folder of tables and pictures (digit_canvas-results)
  --data DIR           folder of digits.csv.gz
  --quick              2 seeds, few updates: a look at the program, not at the methods
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 1'000'000);
  line.whole("--teacher-updates", o.teacher_updates, 2, 1'000'000).whole("--labelled", o.labelled, 4, 10'000);
  line.whole("--test", o.test, 10, 10'000).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] {
    o.seeds = 2;
    o.updates = 30;
    o.teacher_updates = 100;
    o.test = 20;
  });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);
  const digit_images digits = read_digits(o.data);
  segmentation(o, digits);
  anomalies(o, digits);
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace digit_canvas

int main(int argc, char** argv) try { digit_canvas::run(argc, argv); } catch (const std::exception& e) {
  std::fprintf(stderr, "digit_canvas: %s\n", e.what());
  return 1;
}
