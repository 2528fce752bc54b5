// A vector that keeps up to N elements inside itself, for shapes, strides and operand lists.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlx::core {

template <typename T, uint32_t N>
class SmallVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() noexcept : data_(inline_data()) {}
  explicit SmallVector(size_t count) : SmallVector() { resize(count); }
  SmallVector(size_t count, const T& value) : SmallVector() { resize(count, value); }
  SmallVector(std::initializer_list<T> values) : SmallVector(values.begin(), values.end()) {}
  template <std::input_iterator It>
  SmallVector(It first, It last) : SmallVector() {
    if constexpr (std::forward_iterator<It>) {
      reserve(static_cast<size_t>(std::distance(first, last)));
    }
    for (; first != last; ++first) {
      push_back(static_cast<T>(*first));
    }
  }
  // Implicit, so that callers may keep axes and shapes in standard vectors.
  template <typename U>
    requires std::is_convertible_v<const U&, T>
  SmallVector(const std::vector<U>& values) : SmallVector(values.begin(), values.end()) {}
  SmallVector(const SmallVector& other) : SmallVector() { copy(other); }
  SmallVector(SmallVector&& other) noexcept : SmallVector() { take(std::move(other)); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      if constexpr (fits_whole) {
        copy(other);
      } else {
        SmallVector copied(other);
        clear();
        take(std::move(copied));
      }
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      clear();
      take(std::move(other));
    }
    return *this;
  }
  ~SmallVector() {
    clear();
    release();
  }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  iterator begin() noexcept { return data_; }
  iterator end() noexcept { return data_ + size_; }
  const_iterator begin() const noexcept { return data_; }
  const_iterator end() const noexcept { return data_ + size_; }
  T& operator[](size_t i) {
    assert(i < size_);
    return data_[i];
  }
  const T& operator[](size_t i) const {
    assert(i < size_);
    return data_[i];
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }
  operator std::span<const T>() const noexcept { return {data_, size_}; }

  void reserve(size_t capacity) {
    if (capacity > capacity_) {
      grow(static_cast<uint32_t>(capacity));
    }
  }
  template <typename... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) {
      T value(std::forward<Args>(args)...); // args may point into this vector
      grow(capacity_ * 2);
      return *new (data_ + size_++) T(std::move(value));
    }
    return *new (data_ + size_++) T(std::forward<Args>(args)...);
  }
  void push_back(const T& value) { emplace_back(value); }
  void push_back(T&& value) { emplace_back(std::move(value)); }
  void pop_back() { data_[--size_].~T(); }
  void clear() {
    std::destroy_n(data_, size_);
    size_ = 0;
  }
  void resize(size_t count) { resize(count, T{}); }
  void resize(size_t count, const T& value) {
    reserve(count);
    while (size_ > count) {
      pop_back();
    }
    while (size_ < count) {
      push_back(value);
    }
  }
  iterator insert(const_iterator position, const T& value) {
    size_t at = static_cast<size_t>(position - data_);
    push_back(value);
    for (size_t i = size_ - 1; i > at; --i) {
      std::swap(data_[i], data_[i - 1]);
    }
    return data_ + at;
  }
  iterator erase(const_iterator position) {
    size_t at = static_cast<size_t>(position - data_);
    for (size_t i = at; i + 1 < size_; ++i) {
      data_[i] = std::move(data_[i + 1]);
    }
    pop_back();
    return data_ + at;
  }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    if (a.size_ != b.size_) {
      return false;
    }
    for (uint32_t i = 0; i < a.size_; ++i) {
      if (!(a.data_[i] == b.data_[i])) {
        return false;
      }
    }
    return true;
  }

 private:
  // Few bytes are copied whole, without asking how many of them are in use.
  static constexpr bool fits_whole = std::is_trivially_copyable_v<T> && sizeof(T) * N <= 64;

  T* inline_data() noexcept { return reinterpret_cast<T*>(storage_); }
  bool is_inline() const noexcept { return data_ == reinterpret_cast<const T*>(storage_); }
  void grow(uint32_t capacity) {
    T* fresh = static_cast<T*>(::operator new(sizeof(T) * capacity, std::align_val_t(alignof(T))));
    std::uninitialized_move_n(data_, size_, fresh);
    std::destroy_n(data_, size_);
    release();
    data_ = fresh;
    capacity_ = capacity;
  }
  void release() noexcept {
    if (!is_inline()) {
      ::operator delete(data_, std::align_val_t(alignof(T)));
      data_ = inline_data();
      capacity_ = N;
    }
  }
  // *this is empty, or T is nothing to destroy.
  void copy(const SmallVector& other) {
    if constexpr (fits_whole) {
      if (other.size_ <= N) { // there is memory for N at least
        std::memcpy(static_cast<void*>(data_), static_cast<const void*>(other.data_), sizeof(T) * N);
        size_ = other.size_;
        return;
      }
    }
    reserve(other.size_);
    std::uninitialized_copy_n(other.data_, other.size_, data_);
    size_ = other.size_;
  }
  // *this is empty.
  void take(SmallVector&& other) noexcept {
    if constexpr (fits_whole) {
      if (other.is_inline()) {
        std::memcpy(static_cast<void*>(data_), static_cast<const void*>(other.data_), sizeof(T) * N);
        size_ = std::exchange(other.size_, 0);
        return;
      }
    }
    if (other.is_inline()) {
      std::uninitialized_move_n(other.data_, other.size_, data_);
      size_ = other.size_;
      other.clear();
    } else {
      release();
      data_ = std::exchange(other.data_, other.inline_data());
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, N);
    }
  }

  T* data_;
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  alignas(T) unsigned char storage_[sizeof(T) * N];
};

} // namespace mlx::core
