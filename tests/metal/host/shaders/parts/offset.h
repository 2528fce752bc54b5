// A constant of the tests.
#pragma once

constant constexpr float offset = 0.5f;
