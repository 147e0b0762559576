#ifndef LIMBECK_LOSS_FEATURES_CRD_HPP
#define LIMBECK_LOSS_FEATURES_CRD_HPP

/// @file
/// Contrastive representation distillation: noise-contrastive estimation against a memory of every sample of the set.

#include <limbeck/loss/features/projection.hpp>
#include <limbeck/loss/support.hpp>

#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// Settings of a `crd_bank`, with the authors' values.
struct crd_settings {
  std::size_t negatives = 16384;  ///< K, drawn for each sample, its own among them by chance
  double temperature = 0.07;      ///< of the inner products, positive
  double momentum = 0.5;          ///< what a remembered embedding keeps of itself, in [0, 1]
  std::uint64_t seed = 0;         ///< of the first content and of all negatives
};

template <class T>
struct crd_loss;

/// The memory of `crd`: two unit embeddings of each sample of the training set (at first uniform in
/// +-sqrt(3/dimension)), the two normalisers, which the first batch sets, and the stream of the negatives. Belongs to
/// the caller.
template <class T>
class crd_bank {
 public:
  /// @throws shape_error where there is no sample or dimension; value_error where a setting is outside its range.
  crd_bank(std::size_t samples, std::size_t dimension, const crd_settings& settings = {})
      : settings_(settings), samples_(samples), dimension_(dimension), random_(settings.seed) {
    if (samples == 0 || dimension == 0)
      raise<shape_error>("limbeck: crd_bank has " + std::to_string(samples) + " samples and " +
                         std::to_string(dimension) + " dimensions, expected at least 1 of both");
    if (settings.negatives == 0) raise<value_error>("limbeck: crd_settings.negatives is 0, expected at least 1");
    if (!(settings.temperature > 0))
      raise<value_error>("limbeck: crd_settings.temperature is " + detail::show(settings.temperature) +
                         ", expected a positive number");
    if (!(settings.momentum >= 0 && settings.momentum <= 1))
      raise<value_error>("limbeck: crd_settings.momentum is " + detail::show(settings.momentum) + ", expected 0 to 1");
    for (std::vector<T>* side : {&student_, &teacher_}) {
      side->resize(samples * dimension);
      for (T& v : *side)
        v = static_cast<T>((2 * random_.uniform() - 1) * std::sqrt(3 / static_cast<double>(dimension)));
    }
  }
  /// What is remembered of the student, and of the teacher: samples x dimension.
  rows<const T> student() const { return {student_.data(), samples_, dimension_}; }
  rows<const T> teacher() const { return {teacher_.data(), samples_, dimension_}; }  ///< the same of the teacher
  const crd_settings& settings() const { return settings_; }                           ///< as given

  /// Saves or restores embeddings, normalisers and the stream.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> s(student_), t(teacher_);
    archive("student", s);
    archive("teacher", t);
    archive("student_normalizer", student_z_);
    archive("teacher_normalizer", teacher_z_);
    archive("random", random_);
  }

 private:
  friend struct crd_loss<T>;
  /// Moves entry @p i of a side towards @p fresh, and back onto the sphere.
  void remember(std::vector<T>& side, std::size_t i, const T* fresh) {
    T* const entry = side.data() + i * dimension_;
    const T keep = static_cast<T>(settings_.momentum);
    for (std::size_t c = 0; c < dimension_; ++c) entry[c] = keep * entry[c] + (T(1) - keep) * fresh[c];
    const T norm = std::sqrt(detail::inner_product(entry, entry, dimension_));
    if (norm == T(0)) return;
    for (std::size_t c = 0; c < dimension_; ++c) entry[c] /= norm;
  }

  crd_settings settings_;
  std::size_t samples_, dimension_;
  random_stream random_;
  std::vector<T> student_, teacher_;
  double student_z_ = -1, teacher_z_ = -1;  // not set
};

/// What `crd` returns.
template <class T>
struct crd_loss {
  using limbeck_loss = batchwise;
  using scalar = T;
  static constexpr bool any_width = true, into_teacher = true;
  crd_bank<T>* bank;                        ///< the caller's
  const std::vector<std::size_t>* indices;  ///< the caller's, of this batch
  projection<T>* student_embedding;         ///< the caller's
  projection<T>* teacher_embedding;         ///< the caller's

  /// The bank and both embeddings.
  template <class F>
  void visit_learned(const F& f) const {
    f(*bank);
    f(*student_embedding);
    f(*teacher_embedding);
  }
  /// @throws shape_error, value_error as `crd` says.
  template <class U>
  double operator()(const batch<U>& x) const {
    static_assert(std::is_same_v<U, T>,
                  "limbeck: the bank and the embeddings of crd have another scalar type than the features");
    if constexpr (std::is_same_v<U, T>) return run(x);
    return 0;
  }

 private:
  struct side {
    rows<T> unit, slope;
    std::span<T> norms;
    const T* memory;  // of the other side: what this one is compared with
    double z;
  };

  side embed(const batch<T>& x, const rows<const T>& features, const projection<T>& embedding, const T* memory,
             double z, const char* who) const {
    if (features.classes != embedding.inputs() || embedding.outputs() != bank->dimension_)
      raise<shape_error>(std::string("limbeck: ") + who + " has " + std::to_string(features.classes) +
                         " columns and the bank " + std::to_string(bank->dimension_) + ", but its embedding goes from " +
                         std::to_string(embedding.inputs()) + " to " + std::to_string(embedding.outputs()));
    detail::check_finite(x, features, who);
    const std::size_t n = x.samples(), d = bank->dimension_;
    side s{{x.memory.template take<T>(n * d).data(), n, d}, {x.memory.template take<T>(n * d).data(), n, d},
           x.memory.template take<T>(n), memory, z};
    embedding.apply(features, s.slope, x);
    detail::unit_rows(rows<const T>(s.slope), s.unit, s.norms, x.on);
    return s;
  }
  /// f(position, index) for the sample itself, then for its negatives.
  template <class F>
  void each_drawn(const batch<T>& x, const random_stream& step, std::size_t r, const F& f) const {
    random_stream random = step.split(r);
    f(true, sample_of(x, r));
    for (std::size_t k = 0; k < bank->settings_.negatives; ++k) f(false, random.below(bank->samples_));
  }
  std::size_t sample_of(const batch<T>& x, std::size_t r) const { return (*indices)[x.row_of_call(r)]; }
  double score(const side& s, std::size_t r, std::size_t i) const {
    const std::size_t d = bank->dimension_;
    return std::exp(static_cast<double>(detail::inner_product(s.unit.row(r), s.memory + i * d, d)) /
                    bank->settings_.temperature);
  }

  double run(const batch<T>& x) const {
    const std::size_t n = x.samples(), d = bank->dimension_;
    if (indices->size() != x.samples_of_call()) detail::throw_length("indices", indices->size(), x.samples_of_call());
    for (std::size_t r = 0; r < n; ++r)
      if (sample_of(x, r) >= bank->samples_)
        raise<value_error>("limbeck: indices is " + std::to_string(sample_of(x, r)) + " at row " +
                           std::to_string(x.row_of_call(r)) + ", expected a sample of the bank, 0 to " + std::to_string(bank->samples_ - 1));
    if (n == 0) return 0;
    side s = embed(x, x.student, *student_embedding, bank->teacher_.data(), bank->student_z_, "student");
    side t = embed(x, x.teacher, *teacher_embedding, bank->student_.data(), bank->teacher_z_, "teacher");
    random_stream random = bank->random_;
    const random_stream step(random());
    const double drawn = static_cast<double>(bank->settings_.negatives);
    for (side* one : {&s, &t}) {
      if (one->z > 0) continue;
      const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t) {
        double value = 0;
        each_drawn(x, step, r, [&](bool, std::size_t i) { value += score(*one, r, i); });
        return value;
      });
      one->z = total / (static_cast<double>(n) * (drawn + 1)) * static_cast<double>(bank->samples_);
    }
    const double noise = drawn / static_cast<double>(bank->samples_), c = noise + 1e-7;  // K Pn, and the authors' eps
    const double scale = static_cast<double>(x.scale) / (static_cast<double>(n) * bank->settings_.temperature);
    const bool learning = x.wants_gradient() || x.wants_teacher_gradient();
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t) {
      double value = 0;
      for (const side* one : {&s, &t}) {
        T* const g = one->slope.row(r);
        for (std::size_t k = 0; k < d; ++k) g[k] = T(0);
        each_drawn(x, step, r, [&](bool positive, std::size_t i) {
          const double p = score(*one, r, i) / one->z;
          value += std::log((p + c) / (positive ? p : noise));
          if (learning)
            detail::add_scaled(g, static_cast<T>(scale * (positive ? -c : p) / (p + c)), one->memory + i * d, d);
        });
      }
      return value;
    });
    const double value = detail::finite(x, total / static_cast<double>(n));
    if (!learning) return value;

    for (const side* one : {&s, &t})
      for (std::size_t r = 0; r < n; ++r) detail::pull_back_unit(one->unit.row(r), one->norms[r], one->slope.row(r), d);
    student_embedding->pull_back(x.student, s.slope, x.gradient, x);
    teacher_embedding->pull_back(x.teacher, t.slope, x.teacher_gradient, x);
    for (std::size_t r = 0; r < n; ++r) {
      bank->remember(bank->student_, sample_of(x, r), s.unit.row(r));
      bank->remember(bank->teacher_, sample_of(x, r), t.unit.row(r));
    }
    bank->student_z_ = s.z, bank->teacher_z_ = t.z, bank->random_ = random;
    return value;
  }
};

/// Both embeddings, linear and then of norm 1, are to be told from K negatives: with P = exp(e . m/T)/Z, m the
/// remembered embedding of the other side, n = K/samples and c = n + 1e-7, the mean over the batch of -log(P_own/(P_own +
/// c)) - the sum over negatives of log(n/(P + c)), for student and teacher as the anchor, added.
///
/// @p indices holds the place in the training set of each row: refill it before each call. Z is a constant, samples
/// times the mean of exp(e . m/T) over the first batch. A call that wants a gradient is a step: it adds the gradients
/// of both embeddings to their own, then moves the remembered embeddings, normalisers and stream. One that wants none
/// draws what the next step will draw and changes nothing. A sample twice in one batch is remembered twice (the authors
/// keep the last). An embedding of norm 0 stays 0 and has no gradient. All four arguments must outlive the objective.
/// O(batch x K x dimension), nothing of batch x K is kept.
/// @throws shape_error where sizes do not fit; value_error where an index is not below the bank's samples, or a feature
///   not finite. The state is then as it was.
///
/// Tian, Krishnan and Isola, Contrastive Representation Distillation, 2020, arXiv:1910.10699, and the
/// authors' RepDistiller (constants, eps 1e-7, update), which draws uniformly as here.
template <class T>
crd_loss<T> crd(crd_bank<T>& bank, const std::vector<std::size_t>& indices, projection<T>& student_embedding,
                projection<T>& teacher_embedding) {
  return {&bank, &indices, &student_embedding, &teacher_embedding};
}
/// @cond
template <class T>
crd_loss<T> crd(crd_bank<T>&, const std::vector<std::size_t>&&, projection<T>&, projection<T>&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
