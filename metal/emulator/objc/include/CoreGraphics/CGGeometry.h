// Metal itself uses no name of Core Graphics' geometry; metal-cpp includes this all the same.
#pragma once
