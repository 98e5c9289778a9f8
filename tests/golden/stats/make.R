# Golden numbers for tests/analysis/test_statistics.py. Run in this folder: Rscript make.R  (R 4.2.2, nlme 3.1-162)
# scores.csv and differences.csv are drawn here; golden.csv is what R says of them.
suppressPackageStartupMessages(library(nlme))
options(digits = 15)
set.seed(1)
n <- c(combat = 14, none = 11, source = 17)
scores <- data.frame(level = rep(names(n), n))
scores$r2 <- round(0.5 + 0.02 * (scores$level == "source") + rnorm(nrow(scores), sd = 0.03), 4)
write.csv(scores, "scores.csv", row.names = FALSE, quote = FALSE)
fold <- rnorm(4, sd = 0.010); config <- rnorm(25, sd = 0.012)
d <- expand.grid(config = 1:25, fold = 1:4)
d$d <- round(0.01 + fold[d$fold] + config[d$config] + rnorm(100, sd = 0.008), 5)
write.csv(d, "differences.csv", row.names = FALSE, quote = FALSE)

out <- list()
say <- function(test, what, value) out[[length(out) + 1]] <<- data.frame(test, what, value = format(value, digits = 15))
t <- with(scores, t.test(r2[level == "source"], r2[level == "none"], var.equal = TRUE))
say("t", "t", t$statistic); say("t", "p", t$p.value); say("t", "df", t$parameter)
say("t", "low", t$conf.int[1]); say("t", "high", t$conf.int[2])
fit <- aov(r2 ~ level, scores); a <- summary(fit)[[1]]
say("anova", "f", a[1, "F value"]); say("anova", "p", a[1, "Pr(>F)"]); say("anova", "effect", a[1, "Sum Sq"] / sum(a[, "Sum Sq"]))
k <- TukeyHSD(fit)$level
for (pair in rownames(k)) {
  say(paste("tukey", pair), "effect", k[pair, "diff"]); say(paste("tukey", pair), "low", k[pair, "lwr"])
  say(paste("tukey", pair), "high", k[pair, "upr"]); say(paste("tukey", pair), "p", k[pair, "p adj"])
}
p <- c(0.01, 0.04, 0.03, 0.005, 0.8); h <- p.adjust(p, "holm")
for (i in seq_along(p)) say("holm", as.character(p[i]), h[i])
d$g <- factor(1); d$fold <- factor(d$fold); d$config <- factor(d$config)
m <- lme(d ~ 1, d, random = list(g = pdBlocked(list(pdIdent(~ fold - 1), pdIdent(~ config - 1)))), method = "REML")
s <- as.numeric(VarCorr(m)[, "StdDev"])
say("mixed", "effect", fixef(m)[[1]]); say("mixed", "se", sqrt(vcov(m)[1, 1]))
say("mixed", "sd_fold", s[1]); say("mixed", "sd_configuration", s[5]); say("mixed", "sd_noise", s[length(s)])
write.csv(do.call(rbind, out), "golden.csv", row.names = FALSE, quote = FALSE)
