// A cache of teacher logits: bytes a row, and how fast it is written and read, beside the same bytes without a format.
//
// Names are float/what/kept/rows/classes/threads. All are on one thread. Every time is the fastest of its rounds; what:
//   write     a new file, batches of 128 rows, closed; not synced
//   open      the file is mapped, its headers and ids are read
//   check     the same, and every block's checksum is compared
//   rows      every row in the file's order as float, checksums compared before; for sparse kinds gathered
//   shuffled  the same in random order
//   cold      the same as `rows`, file opened and checksums compared on the way, nothing of it in memory before
//   step      value and gradient against the cached rows of half of the samples, 512 at most, in random order: of KL at
//             T = 4 for logits, of `sparse_kl` for sparse kinds, gathering included
// Counters:
//   ms          the subject
//   bytes_row   bytes of the file / rows
//   to_half     bytes of the file / those of the rows in half precision without ids
//   krows       thousands of rows a second
//   gbs         bytes of the file a second
//   plain       subject / the plain way: write(2) of the same bytes, a MiB a call, to a new file; read(2) of them into
//               one MiB, cold if the subject is; of `step` the KL with the teacher's logits in memory, in order
// The file is written where TMPDIR says. The teacher is Zipf's: the class of rank i has the logit -1.2 log(i + 1), and
// which class has which rank differs from row to row. Its top 1 has a fifth of the mass at 32,000 classes.

#include "rounds.hpp"

#include <limbeck/io.hpp>
#include <limbeck/target/sparse_kl.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace bench;
using row_ids = std::vector<std::size_t>;

std::filesystem::path place(const char* name) {
  return std::filesystem::temp_directory_path() / ("limbeck_bench_" + std::to_string(::getpid()) + name);
}

/// A file without a format.
class plain_file {
 public:
  plain_file(const std::filesystem::path& path, int flags) : handle_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (handle_ < 0) throw std::runtime_error("cannot open " + path.string());
  }
  plain_file(const plain_file&) = delete;
  plain_file& operator=(const plain_file&) = delete;
  ~plain_file() { ::close(handle_); }
  void write(const std::vector<char>& piece, std::size_t bytes) const {
    for (std::size_t done = 0; done < bytes;) {
      const auto n = ::write(handle_, piece.data(), (std::min)(piece.size(), bytes - done));
      if (n <= 0) throw std::runtime_error("cannot write");
      done += static_cast<std::size_t>(n);
    }
  }
  void read(std::vector<char>& piece) const {
    while (::read(handle_, piece.data(), piece.size()) > 0) benchmark::DoNotOptimize(piece.data());
  }
  /// On the disk, and no longer in memory.
  void forget() const {
    if (::fsync(handle_) != 0 || ::posix_fadvise(handle_, 0, 0, POSIX_FADV_DONTNEED) != 0)
      throw std::runtime_error("cannot drop a file from memory");
  }

 private:
  int handle_;
};

struct kept {
  const char* name;
  lk::cache_metadata metadata;
};

/// Logits of a teacher whose probabilities fall as in Zipf's law, and a student's.
struct zipf {
  std::size_t rows, classes;
  std::vector<float> teacher;
  batch<float> student;  // of a step
  zipf(std::size_t r, std::size_t c)
      : rows(r), classes(c), teacher(r * c), student((std::min)(r / 2, std::size_t{512}), c) {
    std::vector<float> of_rank(c);
    for (std::size_t i = 0; i < c; ++i) of_rank[i] = -1.2F * std::log(static_cast<float>(i + 1));
    for (std::size_t i = 0; i < r; ++i)
      for (std::size_t k = 0; k < c; ++k) teacher[i * c + k] = of_rank[(7919 * k + 104'729 * i) % c];
  }
};

/// A teacher, its cache, and what is compared with it.
struct subject {
  std::string name;
  zipf& data;
  lk::cache_metadata metadata;
  row_ids ids, mixed;
  std::filesystem::path file = place(".cache"), plain = place(".plain");
  std::vector<char> piece = std::vector<char>(std::size_t{1} << 20U);
  std::vector<float> row;
  lk::sparse_store<float> sparse;

  subject(const kept& k, zipf& d) : name(k.name), data(d), metadata(k.metadata), ids(d.rows), row(d.classes) {
    metadata.classes = d.classes;
    metadata.teacher = "Zipf, 1.2";
    std::iota(ids.begin(), ids.end(), std::size_t{0});
    mixed = ids;
    lk::random_stream(1).shuffle(mixed);
    write();
  }
  /// The library calls a benchmark several times, and benchmarks of one cache follow each other: the last one stays.
  static subject& of(const kept& k, std::size_t rows, std::size_t classes) {
    static std::unique_ptr<zipf> teacher;
    static std::unique_ptr<subject> last;
    const bool same = teacher && teacher->rows == rows && teacher->classes == classes;
    if (same && last && last->name == k.name) return *last;
    last.reset();
    if (!same) teacher.reset();
    if (!same) teacher = std::make_unique<zipf>(rows, classes);
    last = std::make_unique<subject>(k, *teacher);
    return *last;
  }
  ~subject() {
    std::filesystem::remove(file);
    std::filesystem::remove(plain);
  }
  subject(const subject&) = delete;
  subject& operator=(const subject&) = delete;

  void write() const {
    std::filesystem::remove(file);
    lk::teacher_cache_writer writer(file, metadata);
    for (std::size_t r = 0; r < ids.size(); r += 128) {
      const std::size_t count = (std::min)(std::size_t{128}, ids.size() - r);
      writer.append(std::span(ids).subspan(r, count),
                    lk::rows<const float>(data.teacher.data() + r * data.classes, count, data.classes));
    }
    writer.close();
  }
  std::size_t bytes() const { return static_cast<std::size_t>(std::filesystem::file_size(file)); }
  void write_plain() const {
    std::filesystem::remove(plain);
    plain_file(plain, O_WRONLY | O_CREAT).write(piece, bytes());
  }
  void read_plain() { plain_file(file, O_RDONLY).read(piece); }
  void forget() const { plain_file(file, O_RDONLY).forget(); }

  /// All rows, 128 at a time, into one row, or one store.
  void read(const lk::teacher_cache& cache, const row_ids& order) {
    for (std::size_t r = 0; r < order.size(); r += 128) {
      const auto some = std::span(order).subspan(r, (std::min)(std::size_t{128}, order.size() - r));
      if (metadata.kind != lk::cache_kind::logits) {
        cache.gather(some, sparse);
        benchmark::DoNotOptimize(sparse.log_weights.data());
        continue;
      }
      const auto target = cache.target<float>(some);
      for (std::size_t i = 0; i < some.size(); ++i) {
        target.fill({i, row, {}, {}, -1, 0});
        benchmark::DoNotOptimize(row.data());
      }
    }
  }
  /// Compares the checksums of all blocks.
  void check(const lk::teacher_cache& cache) const { benchmark::DoNotOptimize(cache.target<float>(ids)); }
};

using way = std::function<void(subject&, fastest& ours, fastest& plain, double& iteration)>;

void write_way(subject& s, fastest& ours, fastest& plain, double& t) {
  t = ours([&] { s.write(); });
  plain([&] { s.write_plain(); });
}
void open_way(subject& s, fastest& ours, fastest&, double& t) {
  t = ours([&] { benchmark::DoNotOptimize(lk::teacher_cache(s.file).size()); });
}
void check_way(subject& s, fastest& ours, fastest& plain, double& t) {
  t = ours([&] { s.check(lk::teacher_cache(s.file)); });
  plain([&] { s.read_plain(); });
}
void rows_in(const row_ids& order, subject& s, fastest& ours, fastest& plain, double& t) {
  const lk::teacher_cache cache(s.file);
  s.check(cache);
  t = ours([&] { s.read(cache, order); });
  plain([&] { s.read_plain(); });
}
void cold_way(subject& s, fastest& ours, fastest& plain, double& t) {
  s.forget();
  t = ours([&] {
    const lk::teacher_cache cache(s.file, {}, lk::file_access::sequential);
    s.read(cache, s.ids);
  });
  s.forget();
  plain([&] { s.read_plain(); });
}
void step_way(subject& s, fastest& ours, fastest& plain, double& t) {
  const lk::teacher_cache cache(s.file);
  batch<float>& step = s.data.student;
  const auto some = std::span(s.mixed).first(step.samples);
  const lk::rows<const float> student = step.s(), teacher(s.data.teacher.data(), step.samples, step.classes);
  const lk::rows<float> gradient = step.g();
  const lk::objective kl{lk::at_temperature(4.0, lk::forward_kl{})};
  const auto cached = [&] {
    if (s.metadata.kind == lk::cache_kind::logits) {
      kl(student, cache.target<float>(some), lk::into(gradient), step.workspace);
      return;
    }
    cache.gather(some, s.sparse);
    lk::at_temperature(s.sparse.temperature, lk::sparse_kl(s.sparse))(student, lk::into(gradient), step.workspace);
  };
  cached();
  t = ours(cached);
  plain([&] { kl(student, teacher, lk::into(gradient), step.workspace); });
}

void add(const std::string& what, const kept& k, std::size_t rows, std::size_t classes, const way& run) {
  const std::string shape = std::to_string(rows) + "/" + std::to_string(classes);
  const auto name = "float/" + what + "/" + k.name + "/" + shape + "/threads:1";
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    subject& s = subject::of(k, rows, classes);
    fastest ours, plain;
    for (auto round : state) {
      (void)round;
      double t = 0;
      run(s, ours, plain, t);
      state.SetIterationTime(t);
    }
    const double best = ours.seconds_(), bytes = static_cast<double>(s.bytes()), count = static_cast<double>(rows);
    state.counters["ms"] = best * 1e3;
    if (what == "write") {
      state.counters["bytes_row"] = bytes / count;
      state.counters["to_half"] = bytes / (count * 2 * static_cast<double>(classes));
    }
    if (what == "open") return;
    state.counters["plain"] = best / plain.seconds_();
    if (what == "step") return;
    state.counters["krows"] = count / best * 1e-3;
    state.counters["gbs"] = bytes / best * 1e-9;
  });
  added->UseManualTime()->Unit(benchmark::kMillisecond);
  if (what == "cold") added->Iterations(2);
}

}  // namespace

int main(int argc, char** argv) {
  using enum lk::element_type;
  const auto top = [](std::size_t k, lk::element_type type) {
    return lk::cache_metadata{.kind = lk::cache_kind::top_k, .values = type, .k = k};
  };
  const auto drawn = [](std::size_t draws) {
    return lk::cache_metadata{.kind = lk::cache_kind::sampled, .values = uint8, .draws = draws};
  };
  struct size {
    std::size_t rows, classes;
    std::vector<kept> all;
  };
  const kept dense[] = {{"logits_float32", {.values = float32}},
                        {"logits_float16", {.values = float16}},
                        {"logits_bfloat16", {.values = bfloat16}},
                        {"logits_uint8", {.values = uint8}}};
  std::vector<kept> letter(std::begin(dense), std::end(dense)), words = letter;
  letter.push_back({"top4_float16", top(4, float16)});
  letter.push_back({"top4_uint8", top(4, uint8)});
  letter.push_back({"12draws_uint8", drawn(12)});
  words.push_back({"top50_float16", top(50, float16)});
  words.push_back({"top50_uint8", top(50, uint8)});
  words.push_back({"50draws_uint8", drawn(50)});
  for (const auto& [rows, classes, all] :
       {size{16'000, 26, letter}, size{512, 1'000, {dense[0], dense[1], dense[3]}}, size{1'024, 32'000, words}})
    for (const kept& k : all) {
      add("step", k, rows, classes, step_way);
      if (classes == 1'000) continue;
      add("write", k, rows, classes, write_way);
      add("open", k, rows, classes, open_way);
      add("check", k, rows, classes, check_way);
      add("rows", k, rows, classes, [](subject& s, fastest& o, fastest& p, double& t) { rows_in(s.ids, s, o, p, t); });
      add("shuffled", k, rows, classes,
          [](subject& s, fastest& o, fastest& p, double& t) { rows_in(s.mixed, s, o, p, t); });
      add("cold", k, rows, classes, cold_way);
    }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
