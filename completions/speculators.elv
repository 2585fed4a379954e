
use builtin;
use str;

set edit:completion:arg-completer[speculators] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'speculators'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'speculators'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand convert 'Rewrite a head in the layout that vLLM serves, or in another'
            cand stitch-mtp 'Put a finetuned MTP head back into its verifier'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand diff 'Show what differs between two checkpoints'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;convert'= {
            cand --verifier 'Directory of the verifier; its config is read, its weights are not'
            cand --to 'Layout to write'
            cand --algorithm 'Kind of head; recognized from the tensors where it is left out'
            cand -o 'Where to write the converted checkpoint'
            cand --output-path 'Where to write the converted checkpoint'
            cand --algorithm-kwargs 'Options as a JSON object, in the spelling of the Python package'
            cand --validate-device 'Accepted for scripts that pass it; the output is always validated, on the CPU'
            cand --verifier-name 'What the output calls its verifier [default: the path given]'
            cand --num-speculative-tokens 'Draft tokens per step that the output asks for [default: 3]'
            cand --dtype 'Dtype of the weights in the output [default: as in the source]'
            cand --embed 'The embedding: the head''s own if it has one, the verifier''s, or none'
            cand --lm-head 'An output matrix with a row for each verifier token: kept, or cut to the draft''s tokens'
            cand --fc-bias 'A bias after `fc` that the target has no place for: may go if it is zero, or is an error'
            cand --aux-layers 'Verifier layers the head reads, each counted as "after this many layers have run" unless `--aux-convention` says otherwise'
            cand --aux-convention 'What layer ids count: those of `--aux-layers` where it is given, else the source''s own'
            cand --norm-before-residual 'The first layer''s residual is the normalized `fc` output'
            cand --norm-before-fc 'One norm over the concatenated layers before `fc`'
            cand --fc-norm 'One norm per layer before `fc`'
            cand --norm-output 'What the final norm is for: `feedback` (or true) if its output is fed to the next draft step, `head` (or false) if it only comes before `lm_head`'
            cand --rope 'Rotary embedding: `config` as stated, `verifier` as the verifier''s, `plain` for theta 10000 without scaling, or `theta=X`'
            cand --rope-theta 'Base of the rotary frequencies; short for `--rope theta=X`'
            cand --mask-token-id 'Token that stands for one not drafted yet, in parallel and block drafters'
            cand --head-dim 'Channels per attention head'
            cand --dflash-anchor 'What the first position of a block holds: a token that is known, or the first that is predicted'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --strict 'Refuse wherever something would have to be guessed'
            cand --dry-run 'Show the plan and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;stitch-mtp'= {
            cand -o 'Where to write the verifier [default: its name and `-stitched`, here]'
            cand --output-path 'Where to write the verifier [default: its name and `-stitched`, here]'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --dry-run 'Show the plan and write nothing'
            cand --force 'Replace the output if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;validate'= {
            cand --verifier 'Directory of the verifier it is to run with'
            cand --for 'Say whether this runtime will load it, what it assumes, and how to serve it'
            cand --deny 'Findings that make the checkpoint not valid, besides errors: `warnings`, or codes'
            cand --allow 'Findings to leave out, by code; they are counted'
            cand --format 'Form of the report'
            cand --output 'Write the report to a file, and one line per checkpoint to stderr'
            cand --color 'When to use colors'
            cand --no-scan 'Do not look at the values of the weights'
            cand --force 'Replace the file if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;inspect'= {
            cand --verifier 'Directory of the verifier of a head; settles what the head leaves to it'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --tensors 'List the tensors'
            cand --sha256 'Sum up the weight files, as the Hub does'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;diff'= {
            cand --verifier 'Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head'
            cand --tolerance 'Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only equal bytes]'
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --config-only 'Compare descriptions and configs, not the weights'
            cand --weights-only 'Compare the weights, not the configs'
            cand --tensors 'List all tensors and all config keys, also those that are equal'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;eval'= {
            cand --verifier 'Directory of the verifier: config, safetensors, tokenizer'
            cand --speculator 'Directory of the head, in any layout that `inspect` recognizes'
            cand --prompts 'Prompts, one JSON object a line'
            cand --num-speculative-tokens 'Draft tokens per step [default: what the checkpoint asks for]'
            cand --max-new-tokens 'Output limit per request, in tokens [default: 256; 64 in the demonstration]'
            cand --limit 'Take only the first prompts'
            cand --threads 'Worker threads [default: one per core]'
            cand --format 'Form of the report'
            cand --outputs 'Write ids, text and accepted tokens per step of each request'
            cand --compare 'Compare with another engine''s outputs (`id`, `output_token_ids` a line) and show where logits tie'
            cand --color 'When to use colors'
            cand --demo 'Evaluate the head that comes with this program; nothing else is needed'
            cand --force 'Replace the outputs file if it exists'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;doctor'= {
            cand --format 'Form of the report'
            cand --color 'When to use colors'
            cand --bandwidth 'Measure the memory''s read bandwidth; takes a second and 1 GiB'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;explain'= {
            cand --color 'When to use colors'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;completions'= {
            cand --write-to 'Write the completions of every shell and all man pages into this directory'
            cand --color 'When to use colors'
            cand --check 'Write nothing; exit with 1 where a file in that directory is stale or missing'
            cand -q 'Say less; twice silences warnings too'
            cand --quiet 'Say less; twice silences warnings too'
            cand -v 'Say more'
            cand --verbose 'Say more'
            cand --no-progress 'Draw no progress bars'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'speculators;help'= {
            cand convert 'Rewrite a head in the layout that vLLM serves, or in another'
            cand stitch-mtp 'Put a finetuned MTP head back into its verifier'
            cand validate 'Check that a head will load and can accept tokens'
            cand inspect 'Show what is in a checkpoint'
            cand diff 'Show what differs between two checkpoints'
            cand eval 'Measure acceptance and latency of a head, offline'
            cand doctor 'Show what this machine offers'
            cand explain 'Explain a diagnostic code'
            cand completions 'Print shell completions, or write them and the man pages'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'speculators;help;convert'= {
        }
        &'speculators;help;stitch-mtp'= {
        }
        &'speculators;help;validate'= {
        }
        &'speculators;help;inspect'= {
        }
        &'speculators;help;diff'= {
        }
        &'speculators;help;eval'= {
        }
        &'speculators;help;doctor'= {
        }
        &'speculators;help;explain'= {
        }
        &'speculators;help;completions'= {
        }
        &'speculators;help;help'= {
        }
    ]
    $completions[$command]
}
