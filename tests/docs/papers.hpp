// What stands before the expressions of docs/catalogue/papers.tsv: the names that they use, and `use`, which asks a
// loss for its plan and takes anything else as it is. The numbers are of no meaning.

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/map/layer_norm.hpp>
#include <limbeck/map/class_vectors.hpp>
#include <limbeck/map/then.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/map/unit_rows.hpp>
#include <limbeck/map/views.hpp>
#if defined(DOCS_TRAINER)
#include <limbeck/trainer.hpp>
#endif

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

namespace papers {

using namespace limbeck;

inline constexpr std::size_t samples = 32, classes = 10, positions = 10, width = 10;

inline std::vector<float> numbers(unsigned seed, std::size_t n) {
  std::vector<float> x(n);
  for (float& v : x) {
    seed = seed * 1664525u + 1013904223u;
    v = 8 * (static_cast<float>(seed >> 8) / 16777216.0f - 0.5f);
  }
  return x;
}
inline std::vector<float> memory = numbers(1, 7 * samples * classes);
inline rows<float> part(std::size_t i) { return {memory.data() + i * samples * classes, samples, classes}; }

// Logits of the student, of its heads and of teachers.
inline const rows<const float> student = part(0), teacher = part(1), a = part(2), b = part(3), weak = part(3),
                               ce_logits = part(0), kd_logits = part(4), base = part(1), other = part(2), importance = part(6);
inline const rows<float> gradient = part(5), merged = part(6);
inline std::vector<int> labels(samples, 3), pseudo(samples), phrases(samples);
inline std::vector<std::size_t> ids = [] {
  std::vector<std::size_t> rows(samples);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}();

// Generated samples, noise, and what denoisers of data and of generated samples predict of them at levels.
inline const rows<const float> generated = part(0), noise = part(1), real = part(2), fake = part(3), real_of_views = part(4), fake_of_views = part(1),
                               origin = part(0), pixels = part(2);
inline const std::vector<double> times_of_rows(samples, 0.6), early_times(samples, 0.3);
inline const auto level = levels(rectified{}, times_of_rows), earlier = levels(rectified{}, early_times);

// Lists of layers.
inline const std::vector<rows<const float>> hidden{part(0), part(1), part(2), part(3)};

// Numbers of rows.
inline std::vector<float> u(samples, 0.5f), answer(samples, 1), easy(samples, 1), hard(samples, 1), keep(samples, 1), focal(samples, 1), better(samples, 1), mask(samples),
    out(samples), odds(samples), reward(samples), advantage(samples), difficulty(samples, 1), draft = numbers(3, samples), reference = numbers(4, samples);

// What is learned.
inline temperature_parameter<float> tau(15.6, {1, 21});

// Pictures.
inline std::vector<float> distances(samples, 1), heat(4 * samples);
inline std::vector<int> kept(samples / 4);
inline const std::vector<box> mine(samples, box{0, 0, 2, 3}), theirs(samples, box{1, 0, 3, 3});
inline random_stream stream(1);
inline const auto made_again = [](const rows<const float>& x, std::span<const std::size_t>) { return x; };

// Tokens.
inline const std::vector<character_span> characters(samples, character_span{0, 1});

// Several teachers.
inline std::vector<float> gates(2 * samples, 0.5f), gate_gradients(2 * samples);
inline const rows<const float> gate(gates.data(), samples, 2);
inline const rows<float> gate_gradient(gate_gradients.data(), samples, 2);

// Parameters, of which some follow others.
inline std::vector<float> parameters{1, 2, 3, 4}, soup(4);
inline const std::vector<std::vector<std::vector<float>>> stored{snapshot(parameters), snapshot(parameters)};
inline const std::vector<double> half{0.5, 0.5};
inline const std::vector<power_profile> profiles{{2048, 0.05}, {2048, 0.1}, {4096, 0.05}, {4096, 0.1}};
inline const power_profile wanted{4096, 0.075};

// What losses learn or remember.
inline projection<float> p(10, 10, xavier{.seed = 1}), embed_student(10, 16, he{.seed = 1}),
    embed_teacher(10, 16, he{.seed = 2});
inline channel_variances<float> variances(10);
inline match_line<float> line;
inline crd_bank<float> bank(1000, 16, {.negatives = 64});
inline prototypes<float> class_means = [] {
  prototypes<float> means(classes, width);
  std::vector<int> y(samples);
  for (std::size_t r = 0; r < samples; ++r) y[r] = static_cast<int>(r % classes);
  means.update(teacher, y);
  return means;
}();
inline gated_memory<float> memory_of_rows(100, width);
inline std::vector<std::size_t>& indices = ids;
inline const rows<const float> vectors(memory.data(), classes, width);  // of classes
inline const row_list<> from(ids), to(ids), edges_from(ids), edges_to(ids);
inline const std::vector<unsigned char> roles(samples * samples, 1);
inline const pair_mask pairs{rows<const unsigned char>(roles.data(), samples, samples)};
inline taid controller(100);
inline temporal_ensemble<float> past(1000, classes);
inline snapshots<float> ring = [] {
  snapshots<float> last(2);
  last.take(student);
  return last;
}();
inline const auto drawn = draw_sparse(teacher, 50, random_stream(7));
inline const auto cached = keep_top(teacher, 4);
inline workspace ws;

// Models that write, and prompts.
struct flat_scorer {
  std::vector<float> out{};
  rows<const float> operator()(std::span<const prefix> requests) {
    std::size_t n = 0;
    for (const prefix& p : requests) n += p.wanted;
    out.assign(2 * n, 0.0F);
    return {out.data(), n, 2};
  }
};
inline flat_scorer writer, tutor;
inline const std::vector<std::vector<token_id>> texts{{1}, {0, 1}};

#if defined(DOCS_TRAINER)
inline const prompted_data lessons(texts, texts);
inline const auto sampled = [](const rollouts& own, std::uint64_t seed) { return sample(writer, prompts_of(own), {.seed = seed}); };
inline const auto accepted = [](std::span<const token_id>, std::size_t) { return true; };
inline const auto one_step = [](const draw_request&) { return 0.0; };
inline const auto proxy_distance = [] { return 0.0; }, golden_distance = proxy_distance;
#endif

// What drivers call.
inline struct {
  struct batch_of_rows {
    std::vector<float> inputs;
  };
  std::size_t size() const { return 3; }
  batch_of_rows batch(std::span<const std::size_t> rows) const { return {std::vector<float>(rows.size())}; }
} rows_by_number;
inline const auto train_rounds = [](std::span<const std::size_t>, std::span<const int>, std::size_t) { return 0.5; };
inline const auto pool = [] { return mixed_heads(ce_logits, kd_logits, {.share = 0.5}); };
inline const auto oracle = [](std::span<const std::size_t> rows) { return std::vector<int>(rows.size(), 1); };
inline std::vector<float> model(10);
inline const auto train = [](const auto&, std::size_t) { return std::vector<float>(10); };
inline const auto predict = [](std::vector<float>&) { return student; };
inline const auto dml = cross_entropy{} + forward_kl{};
inline const auto balanced = cross_entropy{} + (1 + (of_teacher(entropy{}) > of_student(entropy{}))) * forward_kl{} +
                             (1 + (of_student(entropy{}) > of_teacher(entropy{}))) * reverse_kl{};
inline struct {
} first, second, sgd;  // students and an optimiser of yours

inline std::size_t planned = 0;  // losses among them

template <class F>
void use(const F& expression) {
  if constexpr (std::is_void_v<decltype(expression())>) {
    expression();
  } else {
    [[maybe_unused]] decltype(auto) made = expression();
    if constexpr (requires { objective{made}; }) planned += !objective{made}.plan().str().empty();
  }
}

}  // namespace papers
