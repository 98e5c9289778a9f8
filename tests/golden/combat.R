# Makes the golden files of tests/cells/test_combat.py with R's sva, 17 digits. Usage: Rscript combat.R FOLDER [OUT]
# FOLDER holds combat_input.csv; one combat_<case>.csv is written per case. Made with sva 3.46.0 on R 4.2.2:
#   apt-get install -y --no-install-recommends r-bioc-sva && Rscript tests/golden/combat.R tests/golden
suppressPackageStartupMessages(library(sva))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[1]
out <- if (length(arguments) > 1) arguments[2] else folder
input <- read.csv(file.path(folder, "combat_input.csv"), comment.char = "#", check.names = FALSE)
values <- t(as.matrix(input[, -(1:3)]))
colnames(values) <- input$sample
batch <- input$batch

save <- function(case, corrected) {
  path <- file.path(out, paste0("combat_", case, ".csv"))
  note <- paste0("# sva ", packageVersion("sva"), ", R ", getRversion(), ", case ", case, ", 17 digits; made by combat.R")
  lines <- apply(corrected, 2, function(column) paste(sprintf("%.17g", column), collapse = ","))
  writeLines(c(note, paste(c("sample", rownames(corrected)), collapse = ","), paste(colnames(corrected), lines, sep = ",")), path)
}
run <- function(...) suppressMessages(ComBat(...))

save("parametric", run(values, batch))
# one sample of NCI-60 only
single <- batch != "NCI-60" | cumsum(batch == "NCI-60") == 1
save("one_sample", run(values[, single], batch[single]))
# two genes flat within CCLE
flat <- values
flat[c(3, 11), batch == "CCLE"] <- 2.5
invisible(capture.output(save("flat", run(flat, batch))))
